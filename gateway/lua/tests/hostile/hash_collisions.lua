-- expect: CpuBudget | Ok
local t = {}
for i = 1, 200000 do t[i * 4503599627370496] = i end
