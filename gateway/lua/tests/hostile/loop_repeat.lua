-- expect: CpuBudget
repeat local a = 1 until false
