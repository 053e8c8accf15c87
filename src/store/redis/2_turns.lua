-- Turns and the outcomes of their calls.

files[#files + 1] = function()

local none = {}

-- Most turns have little of what a turn can have. What is there comes behind
-- its letter, and an empty text at the end: each argument that is not there is
-- one that Redis need not read.
local function read_turn()
  local t = {key = text(), version = text(), seq = text(), calls = none,
             cancel = none, set = none, notices = none, sights = none,
             parcels = none}
  t.fields = {'v', whole(tonumber(t.version) + 1)}
  if t.seq == '' then
    t.timer, t.due = text(), text()
  end
  local kind = text()
  while kind ~= '' do
    if kind == 'f' then
      for _ = 1, number() * 2 do
        t.fields[#t.fields + 1] = text()
      end
    elseif kind == 'k' then
      t.kept = true
    elseif kind == 'x' then
      t.expires, t.grace = text(), number()
    elseif kind == 'c' then
      t.calls = read_triples()
    elseif kind == 'l' then
      t.labels = number()
    elseif kind == 'r' then
      t.cancel = read_texts()
    elseif kind == 't' then
      t.set = read_triples()
    elseif kind == 'n' then
      t.notices = read_pairs()
    elseif kind == 'a' then
      t.sights = read_sights()
    elseif kind == 'p' then
      t.parcels = read_pairs()
    elseif kind == 'g' then
      t.bucket, t.status, t.language = text(), text(), text()
      t.most, t.untag, t.tag = number(), read_texts(), read_texts()
    elseif kind == 'd' then
      t.dead, t.dead_head = text(), text()
    else
      error('a turn has no ' .. tostring(kind))
    end
    kind = text()
  end
  return t
end

-- Tags of a member: `b:<bucket>` has them, by key, ascending, with a blank
-- between them. How many had no room, and whether any is other than it was.
local function set_tags(bucket, key, most, untag, tag)
  local hash = p .. 'b:' .. bucket
  local old = call('HGET', hash, key) or ''
  local has, all, over = {}, {}, 0
  for one in string.gmatch(old, '%S+') do
    has[one] = true
  end
  for _, one in ipairs(untag) do
    has[one] = nil
  end
  for one in pairs(has) do
    all[#all + 1] = one
  end
  for _, one in ipairs(tag) do
    if not has[one] and #all < most then
      has[one] = true
      all[#all + 1] = one
    elseif not has[one] then
      over = over + 1
    end
  end
  table.sort(all)
  local new = table.concat(all, ' ')
  if new == old then
    return over, false
  end
  if new == '' then
    call('HDEL', hash, key)
  else
    call('HSET', hash, key, new)
  end
  return over, true
end

-- An operator's change: {how many have other tags now}
function ops.tag()
  local most, untag, tag = number(), read_texts(), read_texts()
  local n = 0
  for _, who in ipairs(read_pairs()) do
    if call('HGET', p .. 'a:' .. who[1], who[2]) then
      local _, changed = set_tags(who[1], who[2], most, untag, tag)
      n = n + (changed and 1 or 0)
    end
  end
  return {'ok', n}
end

local function due_of(key, name)
  local found = call('HGET', p .. 't:' .. key, name)
  return found and string.match(found, '^%-?%d+')
end

-- A record as this part has read it, and as its turns so far would leave it:
-- its version, and whether it has an end.
local function record_of(key, seen)
  local r = seen.records[key]
  if not r then
    local found = call('HMGET', p .. 'c:' .. key, 'v', 'x')
    r = {version = tonumber(found[1] or 0), ends = found[2] ~= false}
    seen.records[key] = r
  end
  return r
end

-- What the turns before this one of the same part would leave behind.
local function foresee(t, seen)
  if t.seq ~= '' then
    if seen.done[t.seq] then
      return 'stale'
    end
    local id = t.seq .. '-0'
    local found = call('XRANGE', p .. 'j', id, id)[1]
    if not found then
      return 'stale'
    end
    t.head, t.body = found[2][2], found[2][4]
    local owner = string.match(t.head, '^%d+ (%S+)')
    if owner ~= t.key then
      return nil, {'no', 'chat', t.key, t.seq, owner}
    end
  else
    local name = t.key .. '\n' .. t.timer
    local due = seen.timers[name]
    if due == nil then
      due = due_of(t.key, t.timer)
    end
    if due ~= t.due then
      return 'stale'
    end
    seen.timers[name] = false
  end
  t.record = record_of(t.key, seen)
  local version = whole(t.record.version)
  if version ~= t.version then
    return nil, {'no', 'version', t.key, t.version, version}
  end
  if t.seq ~= '' then
    seen.done[t.seq] = true
  end
  t.record.version = t.record.version + 1
  for _, name in ipairs(t.cancel) do
    seen.timers[t.key .. '\n' .. name] = false
  end
  for _, s in ipairs(t.set) do
    seen.timers[t.key .. '\n' .. s[1]] = s[2]
  end
  return 'go'
end

-- The last check, and the first write in one: a call that is there already
-- takes those back that were put before it.
local function put_calls(turns)
  local put = {}
  for _, t in ipairs(turns) do
    for _, c in ipairs(t.stale and none or t.calls) do
      if call('HSETNX', p .. 'o', c[1], c[2]) == 0 then
        for _, id in ipairs(put) do
          call('HDEL', p .. 'o', id)
        end
        return {'no', 'call', c[1]}
      end
      put[#put + 1] = c[1]
    end
  end
end

local function remove_timer(key, name)
  call('ZREM', p .. 't', key .. '\n' .. name)
  call('HDEL', p .. 't:' .. key, name)
end

local function acknowledge(t)
  if t.seq ~= '' then
    call('XDEL', p .. 'j', t.seq .. '-0')
    if t.dead then
      bury(t.head, t.body, t.dead)
    end
    return
  end
  if t.dead then
    local kept = call('HGET', p .. 't:' .. t.key, t.timer)
    bury(t.dead_head, string.match(kept, '^%-?%d+ (.*)$'), t.dead)
  end
  remove_timer(t.key, t.timer)
end

-- A label keeps the message of its last call that was sent; past `most` of
-- them the one with the oldest call goes. Ids are hex of one length: they
-- compare as text.
local function put_labels(rec, t)
  local any = false
  for _, c in ipairs(t.calls) do
    if c[3] ~= '' then
      local old = call('HGET', rec, 'l:' .. c[3])
      local message = old and string.match(old, ' (.*)$') or '0'
      call('HSET', rec, 'l:' .. c[3], c[1] .. ' ' .. message)
      any = true
    end
  end
  -- v, s, m, e and x are the other fields there can be.
  if not any or call('HLEN', rec) <= t.labels then
    return
  end
  local labels, all = {}, call('HGETALL', rec)
  for i = 1, #all, 2 do
    if string.sub(all[i], 1, 2) == 'l:' then
      labels[#labels + 1] = {all[i + 1], all[i]}
    end
  end
  table.sort(labels, function(a, b) return a[1] < b[1] end)
  for i = 1, #labels - t.labels do
    call('HDEL', rec, labels[i][2])
  end
end

-- A record with an end is dropped whole some time after it: by then nobody
-- holds its version any more.
local function put_record(t)
  local rec = p .. 'c:' .. t.key
  if t.expires then
    t.fields[#t.fields + 1] = 'x'
    t.fields[#t.fields + 1] = t.expires
  end
  call('HSET', rec, unpack(t.fields))
  if t.version == '0' then
    call('HINCRBY', p .. 'm', 'chats', 1)
  end
  put_labels(rec, t)
  if t.expires then
    t.record.ends = true
    call('PEXPIRE', rec,
         whole(math.max(tonumber(t.expires) - now, 0) + t.grace))
  elseif t.kept and t.record.ends then
    t.record.ends = false
    call('HDEL', rec, 'x')
    call('PERSIST', rec)
  end
end

function ops.commit()
  local epoch = text()
  local turns = {}
  for i = 1, number() do
    turns[i] = read_turn()
  end
  if not holds(epoch) then
    return {'no', 'fenced'}
  end
  local seen = {done = {}, records = {}, timers = {}}
  for _, t in ipairs(turns) do
    local verdict, why = foresee(t, seen)
    if why then
      return why
    end
    t.stale = verdict == 'stale'
  end
  local there = put_calls(turns)
  if there then
    return there
  end
  local out = {'ok'}
  for i, t in ipairs(turns) do
    local answer = {}
    if not t.stale then
      answer = {{}, {}}
      acknowledge(t)
      put_record(t)
      for _, name in ipairs(t.cancel) do
        remove_timer(t.key, name)
      end
      for _, s in ipairs(t.set) do
        call('HSET', p .. 't:' .. t.key, s[1], s[2] .. ' ' .. s[3])
        call('ZADD', p .. 't', s[2], t.key .. '\n' .. s[1])
      end
      for n, notice in ipairs(t.notices) do
        answer[1][n] = append(notice[1], notice[2])
      end
      for _, s in ipairs(t.sights) do
        see(s[1], s[2], s[3], s[4])
      end
      if t.bucket then
        if not call('HGET', p .. 'a:' .. t.bucket, t.key) then
          see(t.bucket, t.key, t.status, t.language)
        end
        answer[3] = set_tags(t.bucket, t.key, t.most, t.untag, t.tag)
      end
      post(t.parcels, answer[2])
    end
    out[i + 1] = answer
  end
  return out
end

local function read_settlement()
  local s = {id = text(), final = text() == '1', sights = none, parcels = none}
  local kind = text()
  while kind ~= '' do
    if kind == 'l' then
      s.record, s.label, s.message = text(), text(), text()
    elseif kind == 'e' then
      s.head, s.body = text(), text()
    elseif kind == 'g' then
      s.spent_at, s.spent = text(), text()
    elseif kind == 'a' then
      s.sights = read_sights()
    elseif kind == 'p' then
      s.parcels = read_pairs()
    elseif kind == 't' then
      s.tally = text()
    elseif kind == 'd' then
      s.dead, s.dead_head, s.dead_body = text(), text(), text()
    else
      error('a settlement has no ' .. tostring(kind))
    end
    kind = text()
  end
  return s
end

-- By call, time and whether it is a mark: a call may count several times, a
-- repeated run does not.
local function note_spent(s)
  if s.spent then
    local window = 60000
    call('ZADD', p .. 'g', s.spent_at,
         s.spent .. ' ' .. s.id .. ' ' .. s.spent_at ..
         (s.final and '' or ' mark'))
    call('ZREMRANGEBYSCORE', p .. 'g', '-inf', '(' .. whole(now - window))
    call('PEXPIRE', p .. 'g', window * 2)
  end
end

local function settle_one(s, posted)
  if not s.final then
    -- The first character of a call says whether it was attempted.
    local kept = call('HGET', p .. 'o', s.id)
    if kept then
      call('HSET', p .. 'o', s.id, '1' .. string.sub(kept, 2))
      note_spent(s)
    end
    return '0'
  end
  if call('HDEL', p .. 'o', s.id) == 0 then
    return '0'
  end
  if s.label then
    local rec = p .. 'c:' .. s.record
    local old = call('HGET', rec, 'l:' .. s.label)
    if old and string.match(old, '^%x+') == s.id then
      call('HSET', rec, 'l:' .. s.label, s.id .. ' ' .. s.message)
    end
  end
  note_spent(s)
  for _, x in ipairs(s.sights) do
    see(x[1], x[2], x[3], x[4])
  end
  post(s.parcels, posted)
  if s.tally then
    call('HINCRBY', p .. 'k', s.tally, 1)
  end
  if s.dead then
    bury(s.dead_head, s.dead_body, s.dead)
  end
  return s.head and append(s.head, s.body) or '0'
end

-- {{sequence of the event or 0, {parcels}}, ...}
function ops.settle()
  local epoch = text()
  local all = {}
  for i = 1, number() do
    all[i] = read_settlement()
  end
  if not holds(epoch) then
    return {'no', 'fenced'}
  end
  local out = {'ok'}
  for i, s in ipairs(all) do
    local posted = {}
    local seq = settle_one(s, posted)
    out[i + 1] = {seq, posted}
  end
  return out
end

end
