#!lua
-- What is kept at a place, if it is of the generation that is current; where nothing is,
-- and somebody asks for it, the right to fill the place alone for a while.
--
-- Input: KEYS generation, entry, lease. ARGV the incarnation; a generation that nobody
-- ever had; how long, in ms, it is kept unused; what the place is for; the generation that
-- the caller has a copy of; who wants to fill the place ('' nobody); for how long, in ms.
-- Output: {'SAME', generation} the caller's copy is current; {'FOUND', generation, body, ms
-- that it is still kept}; {'GRANTED', generation}; {'TAKEN', generation}: somebody fills
-- it, or nobody asked to.
-- Events: none.

local generation = redis.call('HGET', KEYS[1], 'generation')
-- Another life of Redis may have lost what ended a generation.
if not generation or redis.call('HGET', KEYS[1], 'incarnation') ~= ARGV[1] then
  generation = ARGV[2]
  redis.call('HSET', KEYS[1], 'generation', generation, 'incarnation', ARGV[1])
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
end
if generation == ARGV[5] then
  return {'SAME', generation}
end
if redis.call('HGET', KEYS[2], 'of') == generation .. ' ' .. ARGV[4] then
  return {'FOUND', generation, redis.call('HGET', KEYS[2], 'body'), redis.call('PTTL', KEYS[2])}
end
if ARGV[6] == '' then
  return {'TAKEN', generation}
end
local holder = redis.call('SET', KEYS[3], ARGV[6], 'NX', 'GET', 'PX', ARGV[7])
if holder and holder ~= ARGV[6] then
  return {'TAKEN', generation}
end
return {'GRANTED', generation}
