-- expect: Ok | MemoryBudget | Raised
return tostring(#string.rep("x", 10 * 1024 * 1024 * 1024))
