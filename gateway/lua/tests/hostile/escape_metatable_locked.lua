-- expect: Ok
assert(getmetatable("") == "locked")
assert(not pcall(setmetatable, request, nil))
assert(("x"):rep(2) == "xx")
