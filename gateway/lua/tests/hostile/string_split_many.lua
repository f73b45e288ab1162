-- expect: Ok | CpuBudget | MemoryBudget | BadResult
return tostring(#string.split(string.rep(",", 400000), ","))
