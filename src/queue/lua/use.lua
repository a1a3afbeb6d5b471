#!lua flags=allow-oom
-- Notes that an admission has led to a hold: it counts no more against what is free.
--
-- Input:  holder; the rules are not looked at.
-- Output: 'Done'.
-- Events: none.

local number, expires, used = admission_of(request.holder)
if number and not used then
  redis.call('HSET', ADMITTED, request.holder, string.format('%.0f %.0f 1', number, expires))
  redis.call('HINCRBY', QUEUE, 'unused', -1)
end
return cmsgpack.pack('Done')
