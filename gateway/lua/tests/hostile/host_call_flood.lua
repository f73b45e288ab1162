-- expect: CpuBudget
while true do request.header("x-token") end
