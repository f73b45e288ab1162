-- expect: CpuBudget
while true do pcall(request.header) end
