-- Forget what was taken from counters, except what open calls hold.  ARGV: number of counters, counters.
for _ = 1, tonumber(next_arg()) do
  local one = next_counter()
  redis.call('DEL', one.key)
  -- of calls whose lease had run out by now nothing can be given back any more
  redis.call('SET', P .. 'r:' .. one.name, whole(now), 'PX', whole(REMEMBERED / 1000))
  seen[one.key] = nil
  if redis.call('HEXISTS', P .. 'held', one.name) == 1 then
    for _, call in ipairs(redis.call('ZRANGE', P .. 'open', 0, -1)) do
      local hold, changed = read_hold('h', call), false
      for _, put in ipairs(hold and hold.puts or {}) do
        local held = hold.takes[put[1]]
        if held.name == one.name then
          put[2], changed = add(held, put[3], now, held.rate), true
        end
      end
      if changed then write_hold(call, hold) end
    end
  end
end
return 1
