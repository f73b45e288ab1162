-- expect: Raised
return string.split(string.rep("a", 6000000), string.rep("a", 3000000) .. "b")
