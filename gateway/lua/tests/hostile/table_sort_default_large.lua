-- expect: CpuBudget | Ok
local t = {}
for i = 1, 200000 do t[i] = -i % 7919 end
table.sort(t)
