-- expect: MemoryBudget | Raised | CpuBudget
return select("#", string.unpack(string.rep("b", 990000), string.rep("x", 990000)))
