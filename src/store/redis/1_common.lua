#!lua
-- The whole store, as one script (CMake joins the files of this folder): it
-- runs a list of parts, each of them one call of the contract (store.hpp) on
-- one shard. A part checks first and writes then, so that it happens whole or
-- not at all; a part that fails leaves the others alone.
--
-- What is slow here are commands (a few microseconds each), arguments, and the
-- making of functions and tables. So what a run has asked once it remembers,
-- until a part of it changes that; what an operation does not need is not sent.
--
-- The line at the top makes Redis refuse the script before its first write
-- when it may not write: out of memory, a read-only replica, a disk that fails.
--
-- KEYS[i]: of part i, `troupe:{<bot>:<shard>}:m`, or `troupe:{<bot>}:m` for
--   what belongs to the whole store. All other keys are made of its prefix, so
--   they share its slot (redis_parts.hpp names them).
-- ARGV: the caller's wall clock in ms, and " wait" if it waits for replicas
--   then; for each part the operation, the number of its arguments, and those.
--   Times are ms; ids are text, since a Lua number holds 53 bits.
-- Reply: for each part {'ok', ...} or {'no', why, ...}.

local call = redis.call
local now = tonumber(string.match(ARGV[1], '^%d+'))
local argv, at = ARGV, 1
local p -- the prefix of the part's keys

local function text()
  at = at + 1
  return argv[at]
end

local function number()
  at = at + 1
  return tonumber(argv[at])
end

-- Whole numbers in full: Lua's own writing of them ends at 14 digits.
local function whole(n)
  return string.format('%d', n)
end

-- Leases live by the server's clock, not by the nodes'. A run is one moment.
local moment
local function server_ms()
  if not moment then
    local t = call('TIME')
    moment = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
  end
  return moment
end

-- The first of `n` new sequences.
local function next_seq(n)
  return call('HINCRBY', p .. 'm', 'tail', whole(n)) - n + 1
end

local function put_entry(seq, head, body)
  call('XADD', p .. 'j', whole(seq) .. '-0', 'h', head, 'b', body)
  return whole(seq)
end

local function append(head, body)
  return put_entry(next_seq(1), head, body)
end

-- By prefix, {epoch, owner} as this run has read them. Who writes one of these
-- forgets them here.
local owners = {}

local function holds(epoch)
  local m = owners[p]
  if not m then
    m = call('HMGET', p .. 'm', 'epoch', 'owner')
    owners[p] = m
  end
  return m[1] == epoch and m[2] ~= false and m[2] ~= ''
end

local function set_owner(...)
  owners[p] = nil
  call('HSET', p .. 'm', 'owner', ...)
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

local function read_texts()
  local all = {}
  for i = 1, number() do
    all[i] = text()
  end
  return all
end

local function read_pairs()
  local all = {}
  for i = 1, number() do
    all[i] = {text(), text()}
  end
  return all
end

local function read_triples()
  local all = {}
  for i = 1, number() do
    all[i] = {text(), text(), text()}
  end
  return all
end

-- Audience changes of a turn or a settlement: {bucket, key, status, language}.
local function read_sights()
  local all = {}
  for i = 1, number() do
    all[i] = {text(), text(), text(), text()}
  end
  return all
end

-- What goes to another shard, {shard, parcel}, is kept here until it has
-- arrived there. Those of one shard to another are numbered without gaps.
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

-- Operations, and what makes them: each file that follows makes its own, when a
-- part first wants one. To make all functions takes Redis longer than most
-- parts do.
local ops, files = {}, {}

