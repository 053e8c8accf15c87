-- The parts, one after another.

local answers = {}
for i = 1, #KEYS do
  p = string.sub(KEYS[i], 1, -2)
  local op, last = text(), number()
  last = at + last
  local ran, answer = pcall(ops[op])
  if not ran then
    answer = {'no', 'error',
              type(answer) == 'table' and answer.err or tostring(answer)}
  end
  answers[i] = answer
  at = last
end
return answers
