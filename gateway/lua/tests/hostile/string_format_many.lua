-- expect: CpuBudget | MemoryBudget
local s = string.rep("%99d", 100)
while true do string.format(s, unpack(table.create(100, 1))) end
