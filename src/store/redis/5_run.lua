-- The parts, one after another.

local function find(op)
  for i = 1, #files do
    if ops[op] then
      break
    end
    if files[i] then
      files[i]()
      files[i] = false
    end
  end
  return ops[op]
end

local answers = {}
for i = 1, #KEYS do
  p = string.sub(KEYS[i], 1, -2)
  local op, last = text(), number()
  last = at + last
  local ran, answer = pcall(find(op))
  if not ran then
    answer = {'no', 'error',
              type(answer) == 'table' and answer.err or tostring(answer)}
  end
  answers[i] = answer
  at = last
end
-- Since Redis 7.2 WAIT waits for what its own connection wrote, and not for what
-- was there when it read: a run that read only has to write something.
if string.sub(ARGV[1], -5) == ' wait' then
  call('HSET', p .. 'w', 'seen', '')
end
return answers
