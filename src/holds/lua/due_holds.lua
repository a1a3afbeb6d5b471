#!lua flags=no-writes
-- Lists holds that are due to be ended: run out, or stuck in a Confirm for a
-- grace beyond that.
--
-- Input:  limit.
-- Output: {ids, ms until the next one is due, or -1}.
-- Events: none.

local refused = fenced_off()
if refused then return refused end

local ids = redis.call('ZRANGEBYSCORE', DUE, '-inf', now, 'LIMIT', 0, request.limit)
local next = redis.call('ZRANGEBYSCORE', DUE, '(' .. now, '(+inf', 'WITHSCORES', 'LIMIT', 0, 1)
return done({ids, next[2] and tonumber(next[2]) - now or -1})
