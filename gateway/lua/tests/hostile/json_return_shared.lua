-- expect: BadResult | CpuBudget
local t = {}
for _ = 1, 60 do t = {t, t} end
return t
