-- expect: CpuBudget
local s = string.rep("\u{20ac}", 1000000)
while true do utf8.len(s) end
