-- expect: MemoryBudget | Raised
return #string.pack("c2147483647", "")
