#!lua
-- The whole store, as one script (CMake joins 1_common, 2_turns, 3_shards,
-- 4_store and 5_run): it runs a list of parts, each of them one call of the
-- contract (store.hpp) on one shard. A part checks first and writes then, so
-- that it happens whole or not at all; a part that fails leaves the others
-- alone.
--
-- The line at the top makes Redis refuse the script before its first write
-- when it may not write: out of memory, a read-only replica, a disk that fails.
--
-- KEYS[i]: of part i, `troupe:{<bot>:<shard>}:m`, or `troupe:{<bot>}:m` for
--   what belongs to the whole store. All other keys are made of its prefix, so
--   they share its slot (redis_parts.hpp names them).
-- ARGV: the caller's wall clock in ms, and " wait" if it waits for replicas
--   then; for each part the operation, the number of its arguments, and those. Times are ms; ids are text, since a
--   Lua number holds 53 bits.
-- Reply: for each part {'ok', ...} or {'no', why, ...}.

local call = redis.call
local now = tonumber(string.match(ARGV[1], '^%d+'))
local at = 1
local p -- the prefix of the part's keys

local function text()
  at = at + 1
  return ARGV[at]
end

local function number()
  at = at + 1
  return tonumber(ARGV[at])
end

-- Whole numbers in full: Lua's own writing of them ends at 14 digits.
local function whole(n)
  return string.format('%.0f', n)
end

-- Leases live by the server's clock, not by the nodes'.
local function server_ms()
  local t = call('TIME')
  return tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
end

-- An hour of slack, so that a busy key is not given a new end at every write.
local function keep_for(key, ms)
  if call('PTTL', key) < ms then
    call('PEXPIRE', key, ms + 3600000)
  end
end

local function append(head, body)
  local seq = whole(call('HINCRBY', p .. 'm', 'tail', 1))
  call('XADD', p .. 'j', seq .. '-0', 'h', head, 'b', body)
  return seq
end

-- Ids of a block as a set of small numbers (2 bytes each in Redis's packed
-- form, which holds 512), or as a bitmap of 4 KiB once there are more.
local function is_fresh(block, offset, window)
  local key = p .. 'd:' .. block
  local kind = call('TYPE', key).ok
  if kind == 'string' then
    if call('SETBIT', key, offset, 1) == 1 then
      return false
    end
  else
    if call('SADD', key, offset) == 0 then
      return false
    end
    if call('SCARD', key) >= 512 then
      local all = call('SMEMBERS', key)
      call('DEL', key)
      for _, one in ipairs(all) do
        call('SETBIT', key, one, 1)
      end
    end
  end
  keep_for(key, window)
  return true
end

local function holds(epoch)
  local m = call('HMGET', p .. 'm', 'epoch', 'owner')
  return m[1] == epoch and m[2] ~= false and m[2] ~= ''
end

local function see(bucket, key, status, language)
  local known = call('HGET', p .. 'a:' .. bucket, key)
  local first = whole(now)
  if known then
    local _, tongue, since = string.match(known, '^(%d+) (%S*) (%d+) %d+$')
    first = since
    if language == '' then
      language = tongue
    end
  end
  call('HSET', p .. 'a:' .. bucket, key,
       status .. ' ' .. language .. ' ' .. first .. ' ' .. whole(now))
end

-- Audience changes of a turn or a settlement: {bucket, key, status, language}.
local function read_sights()
  local all = {}
  for i = 1, number() do
    all[i] = {text(), text(), text(), text()}
  end
  return all
end

-- What goes to another shard is kept here until it has arrived there:
-- {shard, parcel}. Those of one shard to another are numbered without gaps.
local function read_parcels()
  local all = {}
  for i = 1, number() do
    all[i] = {text(), text()}
  end
  return all
end

local function post(parcels, into)
  for _, one in ipairs(parcels) do
    local id = whole(call('HINCRBY', p .. 'm', 'sent:' .. one[1], 1))
    call('HSET', p .. 'p', one[1] .. ':' .. id, one[2])
    into[#into + 1] = id
  end
end

local function bury(head, body, why)
  local last = tonumber(call('HGET', p .. 'm', 'dead') or 0)
  local id = whole(math.max(last + 1, now))
  call('HSET', p .. 'm', 'dead', id)
  call('XADD', p .. 'x', id .. '-0', 'h', head, 'b', body, 'e', why, 'd',
       whole(now))
end

local function entries_of(stream)
  local out = {}
  for _, e in ipairs(stream) do
    local f = e[2]
    out[#out + 1] = {string.match(e[1], '^%d+'), f[2], f[4]}
  end
  return out
end

local ops = {}

