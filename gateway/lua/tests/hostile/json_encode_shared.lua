-- expect: Raised | CpuBudget | BadResult
local t = {}
for _ = 1, 60 do t = {t, t} end
return json.encode(t)
