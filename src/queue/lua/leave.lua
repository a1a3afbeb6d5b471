#!lua flags=allow-oom
-- Gives a place in the line up. An admission stands: its token is good wherever it is.
--
-- Input:  holder, number; the rules are not looked at.
-- Output: 'Done'.
-- Events: none.

if tonumber(redis.call('ZSCORE', LINE, request.holder)) == request.number then
  take_from_line(request.holder, request.number)
end
return cmsgpack.pack('Done')
