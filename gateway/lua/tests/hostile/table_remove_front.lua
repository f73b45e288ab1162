-- expect: CpuBudget
local t = table.create(500000, 1)
while true do table.remove(t, 1) table.insert(t, 1) end
