-- expect: Raised
return tostring(string.find(string.rep("a", 4000000), string.rep("a", 2000000) .. "b", "1", true))
