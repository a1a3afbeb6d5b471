#!lua flags=no-writes
-- One picture of an event: every seat and area at one position.
--
-- Input:  nothing; any epoch will do.
-- Output: {epoch, seq, statuses, areas}: a letter for each seat by its index,
--         {free, capacity} for each area.
-- Events: none.

local meta = redis.call('HMGET', META, 'epoch', 'seq', 'seat_count', 'incarnation')
if meta[4] ~= incarnation then return cmsgpack.pack('NotLoaded') end

local statuses = {}
for seat = 1, tonumber(meta[3]) do statuses[seat] = AVAILABLE end
local values = redis.call('HGETALL', SEATS)
for i = 1, #values, 2 do
  if values[i] ~= '' then statuses[tonumber(values[i]) + 1] = values[i + 1]:sub(1, 1) end
end

local areas, area = {}, 0
local state = redis.call('HMGET', AREAS, 'f0', 'c0')
while state[1] do
  areas[area + 1] = {tonumber(state[1]), tonumber(state[2])}
  area = area + 1
  state = redis.call('HMGET', AREAS, 'f' .. area, 'c' .. area)
end
return done({tonumber(meta[1]), tonumber(meta[2]), table.concat(statuses), areas})
