#!lua
-- Says that viewers are there, each by one source, and for so long from now.
--
-- Input:  ARGV[2], how long in ms; ARGV[3], how many viewers there may be; ARGV[4],
--         how long in ms the keys are kept, longer than any source; then each source.
-- Output: as in the prelude.
-- Events: none.

local expires, most, first = now + ARGV[2], tonumber(ARGV[3]), 5
local is_more = take_away_those_that_ran_out()

-- Each key keeps an entry of no name. Redis deletes a key that becomes empty, and
-- while a Cluster moves a slot, a script that comes to a deleted key ends half-way.
redis.call('HSET', VIEWERS, '', '0')
redis.call('ZADD', SOURCES, '+inf', '')

local known = redis.call('ZMSCORE', SOURCES, unpack(ARGV, first))
local viewers, refused, kept = count(), 0, {}
for i = first, #ARGV do
  local source = ARGV[i]
  local viewer, has_room = viewer_of(source), true
  if not known[i - first + 1] then
    if viewers >= most then has_room = redis.call('HGET', VIEWERS, viewer) end
    if not has_room then
      refused = refused + 1
    elseif redis.call('HINCRBY', VIEWERS, viewer, 1) == 1 then
      viewers = viewers + 1
    end
  end
  if has_room then
    kept[#kept + 1] = expires
    kept[#kept + 1] = source
  end
end
if #kept > 0 then redis.call('ZADD', SOURCES, unpack(kept)) end
for _, key in ipairs(KEYS) do redis.call('PEXPIREAT', key, now + ARGV[4]) end
return {viewers, is_more and 1 or 0, refused}
