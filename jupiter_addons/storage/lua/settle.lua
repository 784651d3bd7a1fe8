-- End a call at what it came to.  ARGV: call, number of takes, amounts.
local call, count = next_arg(), tonumber(next_arg())
local hold, late = read_hold('h', call), false
if not hold then
  hold, late = read_hold('o', call), true
  if not hold or hold.forget <= now then return 0 end
end
for number, one in ipairs(hold.takes) do
  local due, had = tonumber(next_arg()), amount_of(hold, number)
  if one.kind == 'slots' then due = late and had or 0 end
  if late and due < had then
    local reset = tonumber(redis.call('GET', P .. 'r:' .. one.name) or -1)
    if reset >= hold.forget - REMEMBERED then due = had end -- it does not count any more
  end
  if due ~= had then correct(hold, number, due - had) end
  if not late then count_held(one, -had) end
end
redis.call('DEL', P .. (late and 'o:' or 'h:') .. call)
redis.call('ZREM', P .. 'open', call)
return 1
