-- expect: CpuBudget | MemoryBudget
local s = string.rep("a", 4000000)
while true do s = string.gsub(s, "a", "b") s = string.gsub(s, "b", "a") end
