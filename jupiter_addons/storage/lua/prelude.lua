-- What the scripts have in common.  ARGV: the time in microseconds or nothing, the member, then what each script takes.
--
-- Numbers are doubles: amounts are whole and below 2^53, and written with `whole`, because what Lua makes of a large number by
-- itself has an exponent, and of nothing taken away a sign.  Keys are made of the first one, so that one hash tag holds all of them.
local P, member, at = KEYS[1], ARGV[2], 3
if redis.call('HEXISTS', P .. 'epoch', 'm:' .. member) == 0 and not RESTORES then
  return redis.error_reply('LOST this member has told nothing')
end
local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = tonumber(time[1]) * 1000000 + tonumber(time[2])
end
local BUCKETS, EXACT, SLACK_MS = 10, 9007199254740992, 1000

local function whole(number) return string.format('%.0f', number + 0) end

local function next_arg()
  at = at + 1
  return ARGV[at - 1]
end

-- A counter as it is written in ARGV: kind, series and subject, window or time to the end in microseconds ('' for none).
local function next_counter()
  local one = {kind = next_arg(), name = next_arg()}
  one.key = P .. 'c:' .. one.name
  local span = tonumber(next_arg())
  if one.kind == 'period' then
    one.ends = span and now + span
  else
    one.window = span
  end
  return one
end

local function live_for(one, microseconds)
  redis.call('PEXPIRE', one.key, whole(math.max(0, math.ceil(microseconds / 1000)) + SLACK_MS))
end

-- Sub-buckets of a sliding window, oldest first, and the numbers of those that have left it.  `seen`: those of this time, by key.
local seen = {}
local function parts(one, time)
  local step, known = one.window / BUCKETS, seen[one.key]
  if known and time == now then return known[1], known[2], step end
  local oldest, flat, live, dead = math.floor(time / step) - BUCKETS, redis.call('HGETALL', one.key), {}, {}
  for i = 1, #flat, 2 do
    local number = tonumber(flat[i])
    if number >= oldest then
      live[#live + 1] = {number, tonumber(flat[i + 1])}
    else
      dead[#dead + 1] = flat[i]
    end
  end
  table.sort(live, function(a, b) return a[1] < b[1] end)
  if time == now then seen[one.key] = {live, dead} end
  return live, dead, step
end

-- What a bucket has poured out and not refilled: units, a fraction of one (in units times microseconds), and its rate.
local function level(one, time)
  local found = redis.call('HMGET', one.key, 'units', 'part', 'when', 'rate')
  if not found[1] then return 0, 0, 0 end
  local units, part, rate = tonumber(found[1]), tonumber(found[2]), tonumber(found[4])
  local passed = math.max(0, time - tonumber(found[3]))
  local poured, over = passed * rate, 0
  if poured <= EXACT then
    over = poured % one.window
    units, part = units - (poured - over) / one.window, part - over
  else -- not exact any more: a little less than was refilled
    units = units - math.floor(poured / one.window * (1 - 1e-15))
  end
  if part < 0 then units, part = units - 1, part + one.window end
  if units < 0 then return 0, 0, rate end
  return units, part, rate
end

local function taken(one, time)
  if one.kind == 'sliding' then
    local sum = 0
    for _, part in ipairs((parts(one, time))) do sum = sum + part[2] end
    return sum
  elseif one.kind == 'bucket' then
    local units, part = level(one, time)
    return part > 0 and units + 1 or units
  end
  return tonumber(redis.call('GET', one.key) or 0)
end

-- In how many microseconds `excess` of what counts now no longer will; -1: never.
local function wait(one, excess)
  if one.kind == 'sliding' then
    local live, _, step = parts(one, now)
    for _, part in ipairs(live) do
      excess = excess - part[2]
      if excess <= 0 then return (part[1] + BUCKETS + 1) * step - now end
    end
    return (BUCKETS + 1) * step
  elseif one.kind == 'bucket' then
    local units, part, rate = level(one, now)
    if rate == 0 then return -1 end
    if part > 0 then excess = excess - 1 end
    return math.ceil((excess * one.window + part) / rate)
  elseif one.kind == 'period' then
    return one.ends and math.max(0, one.ends - now) or -1
  end
  return 1000000 -- nobody knows when a call will end
end

-- Count an amount, whatever the cap; return where it was put.
local function add(one, amount, time, rate)
  if one.kind == 'sliding' then
    local _, dead, step = parts(one, time)
    local number = math.floor(time / step)
    if number + BUCKETS < math.floor(now / step) then return 0 end
    if #dead > 0 then redis.call('HDEL', one.key, unpack(dead)) end
    redis.call('HINCRBY', one.key, whole(number), whole(amount))
    seen[one.key] = nil
    live_for(one, (number + BUCKETS + 1) * step - now)
    return number
  elseif one.kind == 'bucket' then
    local units, part, before = level(one, time)
    units, rate = units + amount, rate > 0 and rate or before
    redis.call('HSET', one.key, 'units', whole(units), 'part', whole(part), 'when', whole(time), 'rate', whole(rate))
    if rate > 0 then live_for(one, (units + 1) * one.window / rate) else redis.call('PERSIST', one.key) end
  else
    redis.call('INCRBY', one.key, whole(amount))
    if one.ends then live_for(one, one.ends - now + GRACE) end
  end
  return 0
end

local function take_back(one, mark, amount)
  if one.kind == 'sliding' then
    local inside = redis.call('HGET', one.key, whole(mark))
    seen[one.key] = nil
    if inside then redis.call('HINCRBY', one.key, whole(mark), whole(-math.min(amount, tonumber(inside)))) end
  elseif one.kind ~= 'bucket' then
    local inside = tonumber(redis.call('GET', one.key) or 0)
    if inside > amount then
      redis.call('DECRBY', one.key, whole(amount))
    else
      redis.call('DEL', one.key)
    end
  end
end

local function count_held(one, change)
  if change ~= 0 and redis.call('HINCRBY', P .. 'held', one.name, whole(change)) <= 0 then
    redis.call('HDEL', P .. 'held', one.name)
  end
end

-- How much a hold has of a take.
local function amount_of(hold, number)
  local sum = 0
  for _, put in ipairs(hold.puts) do
    if put[1] == number then sum = sum + put[3] end
  end
  return sum
end

local function read_hold(kind, call)
  local found = redis.call('GET', P .. kind .. ':' .. call)
  return found and cmsgpack.unpack(found)
end

local function write_hold(call, hold) redis.call('SET', P .. 'h:' .. call, cmsgpack.pack(hold)) end

-- Why a counter cannot give an amount: what is left, when it could, and what counts even if all that is held came back.
local function shortage(number, one, amount, cap, used)
  local held = tonumber(redis.call('HGET', P .. 'held', one.name) or 0)
  local wait_us = amount > cap and -1 or wait(one, used + amount - cap)
  return {number, whole(math.max(0, cap - used)), whole(wait_us), whole(math.max(0, used - held))}
end

-- Count what a call has taken too little, or give back what it has taken too much, the latest first.
local function correct(hold, number, change)
  local one = hold.takes[number]
  if change > 0 then add(one, change, now, 0) end
  for i = #hold.puts, 1, -1 do
    if change >= 0 then return end
    local put = hold.puts[i]
    if put[1] == number then
      local back = math.min(put[3], -change)
      take_back(one, put[2], back)
      change = change + back
    end
  end
end
