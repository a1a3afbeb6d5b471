#!lua
-- Keeps an answer at its place, unless the generation that it was read in has ended.
--
-- Input: KEYS generation, entry, lease. ARGV the generation; what the place is for; the
-- body; how long it is kept, and how long its generation is, in ms.
-- Output: 1, or 0 where it was not kept.
-- Events: none.

redis.call('DEL', KEYS[3])
if redis.call('HGET', KEYS[1], 'generation') ~= ARGV[1] then
  return 0
end
redis.call('HSET', KEYS[2], 'of', ARGV[1] .. ' ' .. ARGV[2], 'body', ARGV[3])
redis.call('PEXPIRE', KEYS[2], ARGV[4])
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return 1
