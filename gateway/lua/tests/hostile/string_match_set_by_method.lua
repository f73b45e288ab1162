-- expect: Raised
return (string.rep("a", 4000000)):gmatch("[" .. string.rep("%w", 2000000) .. "]+")
