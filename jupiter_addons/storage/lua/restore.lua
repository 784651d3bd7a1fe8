-- Count what the evidence of a member says was taken, and let it take from now on.  ARGV: number of entries; each: counter,
-- amount, age.  A member whose evidence is counted is refused; nothing is no evidence.
local count = tonumber(next_arg())
local before = redis.call('HGET', P .. 'epoch', 'm:' .. member)
if before and tonumber(before) > 0 then return 0 end
for _ = 1, count do
  local one = next_counter()
  local amount, age = tonumber(next_arg()), tonumber(next_arg())
  add(one, amount, now - age, 0)
end
redis.call('HSET', P .. 'epoch', 'm:' .. member, count)
return 1
