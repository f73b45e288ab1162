-- expect: CpuBudget | Raised
local i = 0
while true do i = i + 1 context.requestOverride.path["p" .. i] = "x" end
