-- expect: CpuBudget
-- Two strings that differ in their last byte, a hundred thousand times.
local a = string.rep("a", 2000000) .. "a"
local b = string.rep("a", 2000000) .. "b"
local t = {}
for i = 1, 100000 do t[i] = i % 2 == 0 and a or b end
table.sort(t)
