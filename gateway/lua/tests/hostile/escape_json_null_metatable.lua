-- expect: Raised | Ok
assert(getmetatable(json.null) == nil)
