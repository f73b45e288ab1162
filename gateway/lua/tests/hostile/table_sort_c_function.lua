-- expect: CpuBudget | Raised
local t = table.create(900000, 1)
table.sort(t, rawequal)
