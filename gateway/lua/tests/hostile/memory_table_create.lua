-- expect: MemoryBudget | Raised
return #table.create(2147483647, 0)
