#!lua
-- FirstPick: an event's waiting list has looked at what was freed up to an entry of the
-- log, and has the first pick of what is freed for some time from now.
--
-- Input:  kept_ms: so long; seen: the entry's seq.
-- Output: whether others may have more than before.
-- Events: none.

local refused = fenced_off()
if refused then return refused end

local seen = tonumber(redis.call('HGET', META, 'list_seen') or 0)
redis.call('HSET', META, 'listed_until', now + request.kept_ms,
  'list_seen', math.max(seen, request.seen))
return done(request.seen > seen)
