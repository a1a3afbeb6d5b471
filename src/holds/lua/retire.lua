#!lua flags=allow-oom
-- Declares an event's state void, as if it came from another life of Redis:
-- from here every script answers NotLoaded, until the event is built anew. Its
-- log stays, for the journal.
--
-- Input:  nothing.
-- Output: nothing of interest.
-- Events: none; the reset comes with the new state.

local refused = fenced_off()
if refused then return refused end

redis.call('HSET', META, 'incarnation', '')
return done(true)
