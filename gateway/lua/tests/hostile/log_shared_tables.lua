-- expect: CpuBudget
local t = {}
for _ = 1, 60 do t = {a = t, b = t} end
while true do log.info(t) end
