-- Count so much more, or less.  ARGV: counter, change.
local one, change = next_counter(), tonumber(next_arg())
if change >= 0 then
  add(one, change, now, 0)
elseif one.kind == 'sliding' then
  for _, part in ipairs((parts(one, now))) do
    local back = math.min(part[2], -change)
    take_back(one, part[1], back)
    change = change + back
  end
elseif one.kind == 'bucket' then
  local units, part = level(one, now)
  if units + change < 0 then units, part = -change, 0 end
  if redis.call('EXISTS', one.key) == 1 then
    redis.call('HSET', one.key, 'units', whole(units + change), 'part', whole(part), 'when', whole(now))
  end
else
  take_back(one, 0, -change)
end
return 1
