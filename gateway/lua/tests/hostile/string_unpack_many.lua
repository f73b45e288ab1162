-- expect: MemoryBudget | Raised | CpuBudget
return select("#", string.unpack(string.rep("b", 900000), string.rep("x", 900000)))
