-- expect: CpuBudget | MemoryBudget
local t = {}
while true do t[#t + 1] = table.create(1000, 0) end
