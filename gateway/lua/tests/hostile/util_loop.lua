-- expect: CpuBudget | MemoryBudget
local s = string.rep("/", 1000000)
while true do util.urlEncode(util.escapeJavaScript(s)) end
