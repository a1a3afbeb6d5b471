#!lua flags=no-writes
-- Lists holds that are due to be ended: run out, or stuck in a Confirm for a
-- grace beyond that.
--
-- Input:  limit.
-- Output: {ids, ms until the next one is due, or -1, ms since the first was, how many
--         holds there are that have not ended}.
-- Events: none.

local refused = fenced_off()
if refused then return refused end

local ids = redis.call('ZRANGEBYSCORE', DUE, '-inf', now, 'LIMIT', 0, request.limit)
local next = redis.call('ZRANGEBYSCORE', DUE, '(' .. now, '(+inf', 'WITHSCORES', 'LIMIT', 0, 1)
local first = ids[1] and now - tonumber(redis.call('ZSCORE', DUE, ids[1])) or 0
local wait = next[2] and tonumber(next[2]) - now or -1
-- Without the one that is never due (load.lua).
return done({ids, wait, first, redis.call('ZCARD', DUE) - 1})
