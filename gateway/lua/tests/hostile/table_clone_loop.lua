-- expect: CpuBudget | MemoryBudget
local t = table.create(200000, 1)
while true do table.clone(t) end
