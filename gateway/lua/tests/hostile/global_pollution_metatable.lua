-- expect: Raised
getmetatable("").__index = {}
