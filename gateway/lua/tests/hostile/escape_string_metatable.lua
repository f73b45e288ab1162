-- expect: Raised
setmetatable("", {__index = function() return 1 end})
