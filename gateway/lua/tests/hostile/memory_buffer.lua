-- expect: MemoryBudget | Raised
return buffer.len(buffer.create(1073741824))
