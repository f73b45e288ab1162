-- expect: Ok | CpuBudget
return tostring(tonumber(string.rep("1", 4000000)))
