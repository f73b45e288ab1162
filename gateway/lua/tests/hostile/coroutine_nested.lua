-- expect: Raised | CpuBudget | MemoryBudget
local function nest() return coroutine.wrap(nest)() end
return nest()
