-- expect: MemoryBudget | Raised
return select("#", utf8.codepoint(string.rep("x", 2000000), 1, -1))
