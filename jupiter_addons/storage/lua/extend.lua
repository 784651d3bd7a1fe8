-- Take more of each counter, or nothing.  ARGV: call, number of takes, amounts.
local call, count = next_arg(), tonumber(next_arg())
local hold = read_hold('h', call)
if not hold then return {2} end
local short, wanted = {}, {}
for number = 1, count do
  local amount, one = tonumber(next_arg()), hold.takes[number]
  if amount > 0 then
    local used = taken(one, now)
    wanted[#wanted + 1] = {number, 0, amount}
    hold.left[number] = whole(one.cap - used - amount)
    if one.cap - used - amount < 0 then short[#short + 1] = shortage(number - 1, one, amount, one.cap, used) end
  end
end
if #short > 0 then return {0, short} end
for _, put in ipairs(wanted) do
  local one = hold.takes[put[1]]
  put[2] = add(one, put[3], now, one.rate)
  count_held(one, put[3])
  hold.puts[#hold.puts + 1] = put
end
write_hold(call, hold)
return {1, hold.left}
