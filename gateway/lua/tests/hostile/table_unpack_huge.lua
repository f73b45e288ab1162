-- expect: MemoryBudget | Raised
return select("#", table.unpack({}, 1, 1e7))
