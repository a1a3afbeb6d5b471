#!lua flags=allow-oom
-- Lets in who is due by the pace and by Redis' clock, forgets who was not heard of, and
-- tells who waits. However often, and by however many servers it is called, no more are
-- let in than the pace has room for.
--
-- Input:  kept_ms: how long a place is kept without a word; settle_ms: how long nobody is
--         let in after a new life of Redis; leeway_ms: how much longer than told an
--         admission counts; most: places that one call touches; pictures: whether the
--         bits are told; seconds: how long what is kept may outlive its last use.
--         Keys beside the queue's: the event's meta, seats and areas (holds/keys.rs).
-- Output: a list: {Room = {scene, admitted, reaped, more, the generations}}, and where asked
--         for, of each generation the bits of who waits and who was let in.
-- Events: none.

local EVENT, SEATS, AREAS = KEYS[8], KEYS[9], KEYS[10]

if behind() then return {cmsgpack.pack('Behind')} end
if is_off() then
  -- Whoever waits is let in by what this answers. The revision stays, for servers that
  -- have not heard of it.
  if room.mode and room.mode ~= 'OFF' then
    for _, generation in ipairs(generations()) do
      redis.call('UNLINK', WAITING .. generation, LET_IN .. generation)
    end
    redis.call('UNLINK', QUEUE, LINE, SEEN, ADMITTED, ENDS)
    redis.call('HSET', QUEUE, 'revision', rules[REVISION], 'mode', 'OFF',
      'generation', room.generation)
    redis.call('EXPIRE', QUEUE, request.seconds)
  end
  return {cmsgpack.pack('Off')}
end
open_room()

-- Units that anybody could hold now. What this Redis does not have, nobody can.
local function free_units()
  local event = redis.call('HMGET', EVENT, 'incarnation', 'seat_count')
  if event[1] ~= incarnation then return 0 end
  -- One entry of `seats` has no name.
  local free = tonumber(event[2]) - redis.call('HLEN', SEATS) + 1
  local areas = redis.call('HGETALL', AREAS)
  for i = 1, #areas, 2 do
    if areas[i]:sub(1, 1) == 'f' then free = free + math.max(0, tonumber(areas[i + 1])) end
  end
  return free
end

-- 1. Those of whom nothing was heard; after a new life of Redis not before they had the
--    time to be heard of.
local reaped = 0
if now >= room.begun_ms + request.kept_ms then
  local silent = redis.call('ZRANGEBYSCORE', SEEN, '-inf', now - request.kept_ms,
    'LIMIT', 0, request.most)
  for _, holder in ipairs(silent) do
    take_from_line(holder, tonumber(redis.call('ZSCORE', LINE, holder)))
  end
  reaped = #silent
end

-- 2. Admissions that have run out.
local ended = redis.call('ZRANGEBYSCORE', ENDS, '-inf', now, 'LIMIT', 0, request.most)
for _, holder in ipairs(ended) do end_admission(holder) end

-- 3. Who comes in, as {holder, number, ...}, and whether more could: by the pace, and no
--    more at once after a pause than in a second.
local function next_in_line()
  local rate = rules[RATE]
  if rate == 0 or now < room.begun_ms + request.settle_ms then
    set('let_in_us', now_us)
    return {}, false
  end
  local each_us = 60000000 / rate
  local from_us = math.max(room.let_in_us, now_us - math.max(1000000, each_us))
  -- A pause of exactly one step is one step, whatever its fraction is rounded to.
  local due = math.floor((now_us - from_us) / each_us + 0.000001)
  if rules[MODE] == 'INVENTORY' and due > 0 then
    due = math.min(due, math.max(0, free_units() - (room.unused or 0)))
  end
  local count = math.min(due, request.most)
  local first = count > 0 and redis.call('ZRANGE', LINE, 0, count - 1, 'WITHSCORES') or {}
  set('let_in_us', string.format('%.0f', math.ceil(from_us + #first / 2 * each_us)))
  -- Where the line is shorter than that, nobody else is due.
  return first, #first / 2 == count and due > count
end

-- 4. They come in.
local first, more = next_in_line()
local admitted = #first / 2
if admitted > 0 then
  local expires = now + rules[TTL_MS]
  local holders, admissions, ends = {}, {}, {}
  for i = 1, #first, 2 do
    local holder, number = first[i], tonumber(first[i + 1])
    mark(WAITING, number, 0)
    mark(LET_IN, number, 1)
    holders[#holders + 1] = holder
    admissions[i], admissions[i + 1] = holder, string.format('%.0f %.0f 0', number, expires)
    ends[i], ends[i + 1] = expires + request.leeway_ms, holder
  end
  redis.call('ZREM', LINE, unpack(holders))
  redis.call('ZREM', SEEN, unpack(holders))
  redis.call('HSET', ADMITTED, unpack(admissions))
  redis.call('ZADD', ENDS, unpack(ends))
  room.unused = redis.call('HINCRBY', QUEUE, 'unused', admitted)
  local _, minute, this, last = lately()
  set('minute', minute)
  set('this_minute', this + admitted)
  set('last_minute', last)
end

-- 5. Generations of before of which nobody waits any more, and nobody may come back.
local kept = {}
for _, generation in ipairs(generations()) do
  local is_past = generation < room.first and now >= room.begun_ms + 2 * request.kept_ms
  local last = (generation + 1) * NUMBERS - 1
  if is_past and not redis.call('ZRANGEBYSCORE', LINE, generation * NUMBERS, last,
      'LIMIT', 0, 1)[1] then
    redis.call('UNLINK', WAITING .. generation, LET_IN .. generation)
  else
    kept[#kept + 1] = generation
  end
end
if #kept < #generations() then keep_generations(kept) end

local function all_keys()
  local keys = {QUEUE, LINE, SEEN, ADMITTED, ENDS}
  for _, generation in ipairs(kept) do
    keys[#keys + 1] = WAITING .. generation
    keys[#keys + 1] = LET_IN .. generation
  end
  return keys
end
-- Once in a while: what nobody lets in from any more goes away by itself.
if redis.call('TTL', QUEUE) < request.seconds / 2 then
  for _, key in ipairs(all_keys()) do redis.call('EXPIRE', key, request.seconds) end
end

local told = {cmsgpack.pack({Room = {scene(), admitted, reaped, more, kept}})}
if request.pictures then
  for _, generation in ipairs(kept) do
    told[#told + 1] = redis.call('GET', WAITING .. generation) or ''
    told[#told + 1] = redis.call('GET', LET_IN .. generation) or ''
  end
end
return told
