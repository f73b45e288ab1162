-- expect: CpuBudget | Ok
return tostring(string.find(string.rep("(", 4000000), "%b()"))
