-- expect: CpuBudget | MemoryBudget
local t = {}
while true do table.move(t, 1, 99999, 2) end
