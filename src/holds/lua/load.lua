#!lua flags=allow-oom
-- Builds an event's state anew from what Postgres has, in a higher epoch.
--
-- Input:  incarnation: the life of Redis that Postgres knows of; rules,
--         seat_count, areas as in configure, each area {free, capacity};
--         blocked: seats; sold: {seat, hold_id} each; holds and ended: {hold_id,
--         record} each; holders: {holder, units, open holds} each.
-- Output: Loaded; Elsewhere: this is another life of Redis, which may have lost
--         what was answered since; or {Stale = epoch}: Redis has this epoch, or
--         a higher one.
-- Events: reset, as the first entry of the epoch's log.

if request.incarnation ~= incarnation then return done('Elsewhere') end
local epoch = tonumber(redis.call('HGET', META, 'epoch'))
if epoch and epoch >= request.epoch then return done({Stale = epoch}) end

redis.call('DEL', unpack(KEYS))
-- Each key keeps an entry of no name. Redis deletes a key that becomes empty, and
-- while a Cluster moves a slot, a script that comes to a deleted key ends half-way.
for _, key in ipairs({SEATS, HOLDS, AREAS, HOLDERS, LAPSES}) do redis.call('HSET', key, '', '') end
redis.call('ZADD', DUE, '+inf', '')

-- A house has a hundred thousand seats and as many holds, and Redis stands still
-- meanwhile: a command takes many fields at a time. Lua's stack has room for 8,000.
local AT_ONCE = 1000
local function in_bulk(command, key, fields)
  for first = 1, #fields, AT_ONCE do
    redis.call(command, key, unpack(fields, first, math.min(first + AT_ONCE - 1, #fields)))
  end
end

local seats, holds, due, areas, holders = {}, {}, {}, {}, {}
local function add(fields, field, value)
  fields[#fields + 1] = field
  fields[#fields + 1] = value
end
for _, seat in ipairs(request.blocked) do add(seats, seat, BLOCKED) end
for _, sold in ipairs(request.sold) do add(seats, sold[1], SOLD .. sold[2]) end
for _, live in ipairs(request.holds) do
  local id, hold = live[1], live[2]
  for _, seat in ipairs(hold[SEATS_HELD]) do add(seats, seat, HELD .. id) end
  add(holds, id, cmsgpack.pack(hold))
  add(due, hold[EXPIRES], id)
end
for _, ended in ipairs(request.ended) do add(holds, ended[1], cmsgpack.pack(ended[2])) end
for i, state in ipairs(request.areas) do
  add(areas, 'f' .. (i - 1), state[1])
  add(areas, 'c' .. (i - 1), state[2])
end
max_holds_per_holder = request.rules[10]
for _, holder in ipairs(request.holders) do
  add(holders, holder[1], counted_as(holder[2], holder[3]))
end
in_bulk('HSET', SEATS, seats)
in_bulk('HSET', HOLDS, holds)
in_bulk('ZADD', DUE, due)
in_bulk('HSET', AREAS, areas)
in_bulk('HSET', HOLDERS, holders)
redis.call('HSET', META, 'incarnation', incarnation, 'epoch', request.epoch, 'seq', 0, 'revision', request.rules[1],
  'state', request.rules[2], 'hold_ttl_ms', request.rules[3], 'max_hold_ms', request.rules[4],
  'max_units_per_hold', request.rules[5], 'max_units_per_holder', request.rules[6],
  'journaled', request.rules[7], 'max_expired_holds', request.rules[8],
  'cool_down_ms', request.rules[9], 'max_holds_per_holder', request.rules[10],
  'seat_count', request.seat_count)
redis.call('XADD', LOG, request.epoch .. '-0', 'at', now, 'reset', 1)
return done('Loaded')
