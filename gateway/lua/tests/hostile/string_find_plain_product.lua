-- expect: Ok | CpuBudget
-- A search that compares anew at every place would take minutes.
return tostring(string.find(string.rep("a", 4000000), string.rep("a", 2000000) .. "b", 1, true))
