-- expect: CpuBudget
for _ in rawlen, {} do end
