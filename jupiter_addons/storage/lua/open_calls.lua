-- Return how many calls are open.
return redis.call('ZCARD', P .. 'open')
