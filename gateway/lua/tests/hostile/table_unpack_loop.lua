-- expect: CpuBudget | MemoryBudget
while true do pcall(unpack, {}, 1, 500000) end
