-- expect: CpuBudget
local s = "[" .. string.rep("0,", 200000) .. "0]"
while true do json.get(s, 200000) end
