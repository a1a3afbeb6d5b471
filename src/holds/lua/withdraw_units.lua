#!lua
-- Takes free units of an area out of sale, which are to become another area's.
--
-- Input:  revision: of the event, by which the caller knows the area; area;
--         capacity: what it shall have left.
-- Output: Withdrawn, now or before; Behind: Redis has the event in another
--         revision; or {Insufficient = how many units are free}.
-- Events: the area is smaller.

local refused = fenced_off()
if refused then return refused end

local revision = tonumber(redis.call('HGET', META, 'revision'))
if revision ~= request.revision then return done('Behind') end
local area = request.area
local state = redis.call('HMGET', AREAS, 'f' .. area, 'c' .. area)
local free, quantity = tonumber(state[1]), tonumber(state[2]) - request.capacity
-- Withdrawn before, by this call or by another of the same revision: then only one of
-- the two comes to its end.
if quantity <= 0 then return done('Withdrawn') end
if free < quantity then return done({Insufficient = free}) end

-- Every check is done: from here only writes.
redis.call('HSET', AREAS, 'c' .. area, request.capacity)
take_area(area, quantity)
log_change()
return done('Withdrawn')
