-- expect: MemoryBudget | Raised
return select("#", string.byte(string.rep("x", 2000000), 1, -1))
