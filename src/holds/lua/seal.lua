#!lua flags=allow-oom
-- Closes an event's state for good: from here every script finds it not loaded,
-- also those of connections that know it by its incarnation. What the log has
-- is all that was answered.
--
-- Input:  nothing; any epoch will do.
-- Output: {epoch}, in which it was, or {} where there is none.
-- Events: none.

redis.call('HDEL', META, 'incarnation')
local epoch = redis.call('HGET', META, 'epoch')
return done({tonumber(epoch)})
