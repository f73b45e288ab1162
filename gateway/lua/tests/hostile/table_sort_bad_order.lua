-- expect: CpuBudget | Raised
local t = {}
for i = 1, 300000 do t[i] = i end
table.sort(t, function() return true end)
