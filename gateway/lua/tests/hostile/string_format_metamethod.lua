-- expect: CpuBudget
return string.format("%*", setmetatable({}, {__tostring = function() while true do end end}))
