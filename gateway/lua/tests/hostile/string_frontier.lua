-- expect: CpuBudget | Ok
return tostring(string.find(string.rep("a", 4000000), "%f[b]b"))
