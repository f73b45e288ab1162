-- expect: CpuBudget
local function swallow()
    pcall(swallow)
    pcall(swallow)
end
while true do swallow() end
