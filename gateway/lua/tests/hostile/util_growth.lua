-- expect: Raised | CpuBudget
return util.urlEncode(string.rep("/", 8000000))
