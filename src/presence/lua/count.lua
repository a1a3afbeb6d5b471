#!lua flags=allow-oom
-- Counts the viewers who are there, after some sources were taken away: those that
-- are named, if any, and those that ran out.
--
-- Input:  from ARGV[2] on, each source.
-- Output: as in the prelude.
-- Events: none.

local gone = {}
if #ARGV > 1 then
  local known = redis.call('ZMSCORE', SOURCES, unpack(ARGV, 2))
  for i = 2, #ARGV do
    if known[i - 1] then gone[#gone + 1] = ARGV[i] end
  end
end
take_away(gone)
local is_more = take_away_those_that_ran_out()
return {count(), is_more and 1 or 0, 0}
