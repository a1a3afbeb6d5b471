-- What all scripts of the queue share; each is this text and its own.
--
-- Input:  ARGV[1], a MessagePack map; its field rules is {revision, mode, rate, ttl_ms},
--         of the caller's copy of the event. ARGV[2], the incarnation of Redis that the
--         caller's connection goes to.
-- Output: a MessagePack value: 'Behind' where the room knows a later revision, 'Off', or
--         what the script's own header says.

local QUEUE, LINE, SEEN, ADMITTED, ENDS, WAITING, LET_IN = unpack(KEYS)
local request, incarnation = cmsgpack.unpack(ARGV[1]), ARGV[2]
local REVISION, MODE, RATE, TTL_MS = 1, 2, 3, 4
local rules = request.rules

-- A number is a place in order: the generation that gave it, times this, and the count
-- within. Never put into a text by `..`, which keeps 14 digits.
local NUMBERS = 2097152

local time = redis.call('TIME')
local now_us = time[1] * 1000000 + time[2]
local now = math.floor(now_us / 1000)

local FIELDS = {
  'incarnation', 'revision', 'mode', 'begun_ms', 'first', 'generation', 'given',
  'generations', 'let_in_us', 'unused', 'minute', 'this_minute', 'last_minute', 'known',
}
local room = {}
for i, value in ipairs(redis.call('HMGET', QUEUE, unpack(FIELDS))) do
  room[FIELDS[i]] = value and (tonumber(value) or value)
end

local function behind()
  return room.revision and room.revision > rules[REVISION]
end

local function is_off()
  return rules[MODE] == 'OFF'
end

local function set(name, value)
  room[name] = value
  redis.call('HSET', QUEUE, name, value)
end

local function generations()
  local all = {}
  for generation in tostring(room.generations or ''):gmatch('%d+') do
    all[#all + 1] = tonumber(generation)
  end
  return all
end

local function keep_generations(all)
  table.sort(all)
  set('generations', table.concat(all, ' ') .. ' ')
end

local function add_generation(generation)
  local all = generations()
  for _, known in ipairs(all) do
    if known == generation then return end
  end
  all[#all + 1] = generation
  keep_generations(all)
end

local function next_generation()
  set('generation', math.max(tonumber(time[1]), (room.generation or 0) + 1))
  set('given', 0)
  add_generation(room.generation)
end

-- Makes the room what the rules say. In another life of Redis the numbers that were given
-- last may be lost: those that are given from now on are later than all of them.
local function open_room()
  if room.incarnation ~= incarnation then
    -- What this life knows of was not lost: whoever had such a number, and is not in line,
    -- was let in, or gave it up. A room that was closed in between knows of all.
    local known = 0
    if room.generation then
      known = room.generation * NUMBERS + (room.given or NUMBERS - 1)
    end
    next_generation()
    set('known', known)
    set('first', room.generation)
    set('begun_ms', now)
    set('let_in_us', now_us)
    set('incarnation', incarnation)
  end
  if room.revision ~= rules[REVISION] then
    set('revision', rules[REVISION])
    set('mode', rules[MODE])
  end
end

local function generation_of(number)
  return math.floor(number / NUMBERS)
end

local function mark(bits, number, bit)
  local generation = generation_of(number)
  redis.call('SETBIT', bits .. generation, number - generation * NUMBERS, bit)
end

local function put_in_line(holder, number)
  redis.call('ZADD', LINE, number, holder)
  redis.call('ZADD', SEEN, now, holder)
  mark(WAITING, number, 1)
end

local function take_from_line(holder, number)
  redis.call('ZREM', LINE, holder)
  redis.call('ZREM', SEEN, holder)
  mark(WAITING, number, 0)
end

-- The number, until when it is good, and whether it was used.
local function admission_of(holder)
  local packed = redis.call('HGET', ADMITTED, holder)
  if not packed then return nil end
  local number, expires, used = packed:match('^(%d+) (%d+) (%d)$')
  return tonumber(number), tonumber(expires), used == '1'
end

local function end_admission(holder)
  local number, _, used = admission_of(holder)
  redis.call('HDEL', ADMITTED, holder)
  redis.call('ZREM', ENDS, holder)
  if number and not used then room.unused = redis.call('HINCRBY', QUEUE, 'unused', -1) end
end

-- Where a holder is: {In = {number, expires_ms}}, {Waiting = {number, ahead}}, or nil.
local function standing(holder)
  local number, expires = admission_of(holder)
  if number and expires > now then return {In = {number, expires}} end
  number = redis.call('ZSCORE', LINE, holder)
  if number then return {Waiting = {tonumber(number), redis.call('ZRANK', LINE, holder)}} end
end

-- How many were let in within the last minute, about: the minute before counts as far as
-- it reaches into that.
local function lately()
  local minute = math.floor(now / 60000)
  local this, last = room.this_minute or 0, room.last_minute or 0
  if room.minute ~= minute then
    this, last = 0, room.minute == minute - 1 and this or 0
  end
  return math.floor(this + last * (1 - now % 60000 / 60000)), minute, this, last
end

-- What is told of the room beside a place: {now_ms, begun_ms, waiting, lately}.
local function scene()
  local let_in = lately()
  return {now, room.begun_ms, redis.call('ZCARD', LINE), let_in}
end
