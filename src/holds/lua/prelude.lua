-- What all scripts share; each script is this text and its own.
--
-- Input:  ARGV[1], a MessagePack map; its field epoch is the caller's epoch.
--         ARGV[2], the incarnation of Redis that the caller's connection goes to.
-- Output: a MessagePack value: 'NotLoaded', {Epoch = the epoch that Redis has},
--         or {Done = what the script's own header says}.

local META, SEATS, HOLDS, DUE, AREAS, HOLDERS, LOG, LAPSES = unpack(KEYS)
local request, incarnation = cmsgpack.unpack(ARGV[1]), ARGV[2]

-- Positions in a hold's record. ENDED is 0 until it has ended, or a Release of all that it
-- has was asked for.
local HOLDER, FINGERPRINT, STATE, CREATED, EXPIRES, ENDED = 1, 2, 3, 4, 5, 6
local SEATS_HELD, AREAS_HELD, ORDER, SEQ, ASKED = 7, 8, 9, 10, 11
-- Positions in each of AREAS_HELD: the area, its units now, and at first.
local AREA, QUANTITY, AT_FIRST = 1, 2, 3

-- States of a hold.
local ACTIVE, CONFIRMING, CONFIRMED, EXPIRED = 'A', 'C', 'S', 'E'
-- Statuses of a seat.
local AVAILABLE, HELD, SOLD, BLOCKED = 'A', 'H', 'S', 'B'

-- Redis' clock is the only one that counts for expiry; read once a script.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function done(answer)
  return cmsgpack.pack({Done = answer})
end

-- What is MessagePack already is put together as bytes: to pack it once more costs as
-- much as all else that is done with it. Heads of a list of any length, and of a pair
-- whose first is an id of 32 bytes.
local LIST, PAIR_OF_AN_ID = '\221', '\146\217\32'

local function list(parts)
  return LIST .. struct.pack('>I4', #parts) .. table.concat(parts)
end

-- Where it is 0, holds are not counted.
local max_holds_per_holder

-- Why this script must not run, if it must not: the event is not here, or not
-- in the caller's epoch. What was built in another life of Redis may be older
-- than what that life had answered: it counts as not here.
local function fenced_off()
  local meta = redis.call('HMGET', META, 'incarnation', 'epoch', 'max_holds_per_holder')
  if meta[1] ~= incarnation then return cmsgpack.pack('NotLoaded') end
  local epoch = tonumber(meta[2])
  if epoch ~= request.epoch then return cmsgpack.pack({Epoch = epoch}) end
  max_holds_per_holder = tonumber(meta[3]) or 0
end

local function hold_of(id)
  local packed = redis.call('HGET', HOLDS, id)
  return packed and cmsgpack.unpack(packed)
end

local function put(id, hold)
  local packed = cmsgpack.pack(hold)
  redis.call('HSET', HOLDS, id, packed)
  return packed
end

-- The holder's hold, and what it is at by the clock. Another holder's hold is
-- told exactly as one that does not exist.
local function find(id, holder)
  local hold = hold_of(id)
  if not hold or hold[HOLDER] ~= holder then return nil end
  if hold[STATE] == ACTIVE and hold[EXPIRES] <= now then return hold, EXPIRED end
  return hold, hold[STATE]
end

local function unit_count(hold)
  local sum = #hold[SEATS_HELD]
  for _, part in ipairs(hold[AREAS_HELD]) do sum = sum + part[QUANTITY] end
  return sum
end

-- What a holder has is one number: his units, and, only where the event limits holds,
-- 2^32 for each that is open. Doubles have it exactly, for 2^21 holds.
local ONE_HOLD = 4294967296

local function counted_as(units, holds)
  return max_holds_per_holder > 0 and units + holds * ONE_HOLD or units
end

-- Units and open holds of such a number. Units may be miscounted below 0.
local function counts_of(number)
  number = tonumber(number) or 0
  local holds = math.floor(number / ONE_HOLD + 0.5)
  return number - holds * ONE_HOLD, holds
end

local function count(holder, units, holds)
  local delta = counted_as(units, holds)
  if delta == 0 then return end
  units, holds = counts_of(redis.call('HINCRBY', HOLDERS, holder, delta))
  if units <= 0 and holds <= 0 then redis.call('HDEL', HOLDERS, holder) end
end

-- The change that a script makes, gathered while it is made and written to the
-- log at its end: runs of seats that took a status, in order; areas touched;
-- holds as they are now, packed; holds that expired in passing; holds that were undone;
-- holds that ended as Postgres has decided. Whatever gives or takes a unit is in it,
-- or an audit would miss it.
local change = {
  seats = {}, areas = {}, touched = {}, holds = {}, expired = {}, undone = {}, ended = {},
}

-- The seq of the log entry that this script will write.
local function next_seq()
  change.seq = change.seq or (tonumber(redis.call('HGET', META, 'seq')) + 1)
  return change.seq
end

-- Where a waiting list has the first pick, notes what is freed, and when; of areas, how
-- many units that the list has not seen.
local listed_until, seen_by_list
local function note_freed(kind, names, units)
  if not listed_until then
    local listed = redis.call('HMGET', META, 'listed_until', 'list_seen')
    listed_until, seen_by_list = tonumber(listed[1]) or 0, tonumber(listed[2]) or 0
  end
  if listed_until <= now then return end
  for _, name in ipairs(names) do
    local unseen = units
    local before = units > 0 and redis.call('HGET', LAPSES, kind .. name)
    if before then
      local freed, _, count = before:match('^(%d+) (%d+) (%d+)$')
      if tonumber(freed) > seen_by_list then unseen = unseen + tonumber(count) end
    end
    local note = ('%d %d %d'):format(next_seq(), listed_until, unseen)
    redis.call('HSET', LAPSES, kind .. name, note)
  end
end

local function changed_seats(status, seats)
  if #seats == 0 then return end
  change.seats[#change.seats + 1] = {status, seats}
  if status == AVAILABLE then note_freed('/s', seats, 0) end
end

local function take_area(area, quantity)
  if quantity < 0 then note_freed('/a', {area}, -quantity) end
  if quantity ~= 0 then
    redis.call('HINCRBY', AREAS, 'f' .. area, -quantity)
    change.touched[area] = true
  end
end

-- Takes back those of the seats that are the hold's.
local function free_seats(id, seats)
  if #seats == 0 then return end
  local freed = {}
  for i, value in ipairs(redis.call('HMGET', SEATS, unpack(seats))) do
    if value == HELD .. id then freed[#freed + 1] = seats[i] end
  end
  if #freed > 0 then redis.call('HDEL', SEATS, unpack(freed)) end
  changed_seats(AVAILABLE, freed)
end

-- Puts a hold that was made or changed; it remembers the log entry that says so.
local function changed_hold(id, hold)
  hold[SEQ] = next_seq()
  change.holds[#change.holds + 1] = PAIR_OF_AN_ID .. id .. put(id, hold)
end

-- Ends a hold whose items go back on sale.
local function give_back(id, hold, state)
  free_seats(id, hold[SEATS_HELD])
  for _, part in ipairs(hold[AREAS_HELD]) do take_area(part[AREA], -part[QUANTITY]) end
  count(hold[HOLDER], -unit_count(hold), -1)
  hold[STATE], hold[ENDED] = state, now
  put(id, hold)
  redis.call('ZREM', DUE, id)
end

-- How often a holder let holds run out, one after the other, and until when that
-- counts.
local function lapses_of(holder)
  local count, counts_until = (redis.call('HGET', LAPSES, holder) or ''):match('^(%d+) (%d+)$')
  if not count or tonumber(counts_until) <= now then return 0, now end
  return tonumber(count), tonumber(counts_until)
end

-- Counts a hold that its holder let run out, where the event has a rule for that.
local lapse_rule
local function count_lapse(holder)
  lapse_rule = lapse_rule or redis.call('HMGET', META, 'max_expired_holds', 'cool_down_ms')
  if (tonumber(lapse_rule[1]) or 0) == 0 then return end
  local count = lapses_of(holder) + 1
  redis.call('HSET', LAPSES, holder, ('%d %d'):format(count, now + tonumber(lapse_rule[2])))
end

-- Frees a hold that ran out, for a caller who wants what it had.
local function expire_in_passing(id, hold)
  give_back(id, hold, EXPIRED)
  count_lapse(hold[HOLDER])
  change.expired[#change.expired + 1] = id
end

-- Writes the change to the log, if there is one. The id makes Redis refuse an
-- entry that would go back in time.
local function log_change(fields)
  for area in pairs(change.touched) do
    local state = redis.call('HMGET', AREAS, 'f' .. area, 'c' .. area)
    change.areas[#change.areas + 1] = {area, tonumber(state[1]), tonumber(state[2])}
  end
  local entry = fields or {}
  for _, part in ipairs({'seats', 'areas', 'holds', 'expired', 'undone', 'ended'}) do
    if #change[part] > 0 then
      entry[#entry + 1] = part
      entry[#entry + 1] = part == 'holds' and list(change.holds) or cmsgpack.pack(change[part])
    end
  end
  if #entry > 0 then
    local seq = redis.call('HINCRBY', META, 'seq', 1)
    redis.call('XADD', LOG, request.epoch .. '-' .. seq, 'at', now, unpack(entry))
  end
end
