-- expect: CpuBudget
while true do pcall(string.rep, "x", 15000000) end
