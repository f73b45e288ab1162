-- expect: Raised | CpuBudget
local t = {}
for _ = 1, 60 do t = {a = t, b = t} end
return util.text(t)
