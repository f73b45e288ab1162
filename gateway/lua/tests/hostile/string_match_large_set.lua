-- expect: Raised
local set = "[" .. string.rep("b", 2000000) .. "]*"
return string.match(string.rep("a", 2000000), set)
