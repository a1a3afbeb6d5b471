#!lua flags=no-writes
-- All that Redis has of an event at one position, for an audit. It takes a
-- while where there is much; records are handed on as they are kept.
--
-- Input:  nothing; any epoch will do.
-- Output: {now, meta, the log's last id or '', seats, due, areas, holders, records}:
--         meta, seats, areas and holders as HGETALL has them, due as ZRANGE with
--         scores; {id, record} of each hold that is due or has a seat.
-- Events: none.

if redis.call('HGET', META, 'incarnation') ~= incarnation then
  return cmsgpack.pack('NotLoaded')
end
local seats = redis.call('HGETALL', SEATS)
local due = redis.call('ZRANGE', DUE, 0, -1, 'WITHSCORES')

local ids, listed = {}, {}
local function list(id)
  if not listed[id] then
    listed[id] = true
    ids[#ids + 1] = id
  end
end
for i = 2, #seats, 2 do
  if seats[i]:sub(1, 1) == HELD then list(seats[i]:sub(2)) end
end
for i = 1, #due, 2 do list(due[i]) end

-- Records are MessagePack already, and so is an id behind its header: a list of
-- pairs is put together from bytes that are there.
local PAIR_BEGINNING_WITH_AN_ID, LIST = '\146\217\32', '\221'
local parts, used, count = {}, 0, 0
for first = 1, #ids, 1000 do
  local last = math.min(first + 999, #ids)
  for i, packed in ipairs(redis.call('HMGET', HOLDS, unpack(ids, first, last))) do
    local id = ids[first + i - 1]
    if packed and #id == 32 then
      parts[used + 1], parts[used + 2], parts[used + 3] = PAIR_BEGINNING_WITH_AN_ID, id, packed
      used, count = used + 3, count + 1
    end
  end
end

local log_end = redis.call('XREVRANGE', LOG, '+', '-', 'COUNT', 1)[1]
-- {Done = {...}}: a map of one, and an array of eight.
return '\129' .. cmsgpack.pack('Done') .. '\152'
  .. cmsgpack.pack(now)
  .. cmsgpack.pack(redis.call('HGETALL', META))
  .. cmsgpack.pack(log_end and log_end[1] or '')
  .. cmsgpack.pack(seats)
  .. cmsgpack.pack(due)
  .. cmsgpack.pack(redis.call('HGETALL', AREAS))
  .. cmsgpack.pack(redis.call('HGETALL', HOLDERS))
  .. LIST .. struct.pack('>I4', count) .. table.concat(parts)
