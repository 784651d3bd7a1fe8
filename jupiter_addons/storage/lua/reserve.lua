-- Take everything or nothing.  ARGV: call, lease, description, number of takes; each: counter, amount, cap, rate, crowd, most.
local call, lease, told, count = next_arg(), tonumber(next_arg()), next_arg(), tonumber(next_arg())
local known = read_hold('h', call)
if known then return {1, known.left} end

-- With too many subjects in a series those that a client may have made up are counted together.  Subjects are counted when they
-- come, anew in every life of a window: there are never more than twice as many.
local function members(one)
  local life = one.window and one.window * 2
  return P .. 'n:' .. one.series .. (life and ':' .. math.floor(now / life) or ''), life
end

local takes, puts, left, short, fresh = {}, {}, {}, {}, {}
for number = 1, count do
  local one = next_counter()
  local amount, cap, rate, crowd, most = tonumber(next_arg()), tonumber(next_arg()), tonumber(next_arg()), next_arg(), next_arg()
  local used = taken(one, now)
  if crowd ~= '' and used == 0 and one.kind ~= 'slots' then
    one.series = string.match(one.name, '^[^|]*')
    if tonumber(redis.call('GET', (members(one))) or 0) >= tonumber(most) then
      one.name = one.series .. '|' .. crowd
      one.key = P .. 'c:' .. one.name
      used = taken(one, now)
    else
      fresh[#fresh + 1] = one
    end
  end
  one.cap, one.rate = cap, rate
  takes[number], left[number] = one, whole(cap - used - amount)
  puts[number] = {number, 0, amount}
  if cap - used - amount < 0 then short[#short + 1] = shortage(number - 1, one, amount, cap, used) end
end
if #short > 0 then return {0, short} end
for number, one in ipairs(takes) do
  puts[number][2] = add(one, puts[number][3], now, one.rate)
  count_held(one, puts[number][3])
end
for _, one in ipairs(fresh) do
  local key, life = members(one)
  redis.call('INCR', key)
  local ends = life or one.ends and one.ends - now + GRACE
  if ends then redis.call('PEXPIRE', key, whole(math.max(1, math.ceil(ends / 1000)))) end
end
write_hold(call, {takes = takes, puts = puts, left = left, told = told})
redis.call('ZADD', P .. 'open', whole(now + lease), call)
return {1, left}
