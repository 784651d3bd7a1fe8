-- Return what counters hold, and how much of it open calls.  ARGV: number of counters, counters.
local found = {}
for _ = 1, tonumber(next_arg()) do
  local one = next_counter()
  found[#found + 1] = whole(taken(one, now))
  found[#found + 1] = redis.call('HGET', P .. 'held', one.name) or '0'
end
return found
