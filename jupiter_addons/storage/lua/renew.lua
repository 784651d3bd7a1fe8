-- Let leases last from now; return the calls that are not open.  ARGV: lease, calls.
local lease, lost = tonumber(next_arg()), {}
for i = at, #ARGV do
  if redis.call('ZSCORE', P .. 'open', ARGV[i]) then
    redis.call('ZADD', P .. 'open', whole(now + lease), ARGV[i])
  else
    lost[#lost + 1] = ARGV[i]
  end
end
return lost
