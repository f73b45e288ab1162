-- expect: CpuBudget | MemoryBudget
while true do json.decode("[" .. string.rep("[],", 100000) .. "0]") end
