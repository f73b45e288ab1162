-- expect: CpuBudget | Raised | MemoryBudget | BadResult
local even
local function odd(n) return pcall(even, n + 1) end
even = function(n) return pcall(odd, n + 1) end
return even(0)
