-- expect: CpuBudget | MemoryBudget
local t = setmetatable({}, {__mode = "kv"})
while true do t[{}] = {} end
