-- What both scripts share; each script is this text and its own.
--
-- Input:  KEYS sources, viewers; ARGV[1], how many sources that ran out are taken
--         away at most.
-- Output: {how many viewers are there, whether more sources than those ran out,
--         how many of the named sources found no room}.

local SOURCES, VIEWERS = unpack(KEYS)
local AT_MOST = tonumber(ARGV[1])

-- Redis' clock is the only one that counts for expiry; read once a script.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function viewer_of(source)
  return string.match(source, '^[^|]*')
end

-- Takes sources away, all of which are there; a viewer goes with his last one.
local function take_away(sources)
  if #sources == 0 then return end
  redis.call('ZREM', SOURCES, unpack(sources))
  for _, source in ipairs(sources) do
    local viewer = viewer_of(source)
    if redis.call('HINCRBY', VIEWERS, viewer, -1) <= 0 then redis.call('HDEL', VIEWERS, viewer) end
  end
end

local function take_away_those_that_ran_out()
  local out = redis.call('ZRANGEBYSCORE', SOURCES, '-inf', now, 'LIMIT', 0, AT_MOST)
  take_away(out)
  return #out >= AT_MOST
end

-- All viewers, but for the entry of no name.
local function count()
  return math.max(redis.call('HLEN', VIEWERS) - 1, 0)
end
