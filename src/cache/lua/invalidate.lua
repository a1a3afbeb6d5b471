#!lua flags=allow-oom
-- Ends a generation: all that was kept under it is as if it were not there, and so is what
-- is still being read in it.
--
-- Input: KEYS the generation, and entries that are not worth their room any more.
-- Output: none.
-- Events: none.

redis.call('DEL', unpack(KEYS))
