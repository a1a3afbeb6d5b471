#!lua
-- Takes a place at the end of the line, or answers the one that the holder has.
--
-- Input:  holder; most: how many may wait.
-- Output: 'Full', or {Standing = {{In = {number, expires_ms}} or
--         {Waiting = {number, ahead}}, {now_ms, begun_ms, waiting, lately}}}.
-- Events: none.

if behind() then return cmsgpack.pack('Behind') end
if is_off() then return cmsgpack.pack('Off') end
local holder = request.holder
local here = standing(holder)
if not here and redis.call('ZCARD', LINE) >= request.most then return cmsgpack.pack('Full') end

open_room()
if not here then
  -- An admission that has run out, before the room has noticed.
  if admission_of(holder) then end_admission(holder) end
  if room.given >= NUMBERS then next_generation() end
  local number = room.generation * NUMBERS + room.given
  set('given', room.given + 1)
  put_in_line(holder, number)
  here = standing(holder)
elseif here.Waiting then
  redis.call('ZADD', SEEN, now, holder)
end
return cmsgpack.pack({Standing = {here, scene()}})
