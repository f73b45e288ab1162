-- expect: CpuBudget
while true do end
