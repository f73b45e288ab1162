-- expect: CpuBudget
while true do local _ = context.requestTime end
