-- expect: CpuBudget
local co = coroutine.wrap(function() while true do end end)
return co()
