-- expect: CpuBudget
-- Catches the kill and returns as if nothing had been.
pcall(function() while true do end end)
return "all is well"
