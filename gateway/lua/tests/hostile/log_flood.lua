-- expect: CpuBudget
while true do log.info(string.rep("x", 10000)) end
