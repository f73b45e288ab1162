-- expect: MemoryBudget
return #string.rep("x", 900000000)
