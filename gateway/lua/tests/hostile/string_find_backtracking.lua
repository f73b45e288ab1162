-- expect: CpuBudget
return string.find(string.rep("a", 8000), ".-.-.-.-.-b")
