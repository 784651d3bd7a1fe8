-- End calls whose lease has run out; return them, each with its description and what it held, and the members.  ARGV: the
-- most.
local most, ended = next_arg(), {}
for _, call in ipairs(redis.call('ZRANGEBYSCORE', P .. 'open', '-inf', whole(now), 'LIMIT', 0, most)) do
  local hold = read_hold('h', call)
  redis.call('ZREM', P .. 'open', call)
  if hold then
    local held = {}
    for number, one in ipairs(hold.takes) do
      local amount = amount_of(hold, number)
      held[number] = whole(amount)
      count_held(one, -amount)
      if one.kind == 'slots' then correct(hold, number, -amount) end
    end
    hold.forget = now + REMEMBERED
    redis.call('DEL', P .. 'h:' .. call)
    redis.call('SET', P .. 'o:' .. call, cmsgpack.pack(hold), 'PX', whole(math.ceil(REMEMBERED / 1000)))
    ended[#ended + 1] = {call, hold.told, held}
  end
end
return {ended, redis.call('HKEYS', P .. 'epoch')}
