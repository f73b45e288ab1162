-- expect: Raised | MemoryBudget
error(string.rep("x", 8000000))
