-- expect: Ok
-- Nothing that leads out of the sandbox has a name.
local found = {}
if getfenv ~= nil then found[#found + 1] = "getfenv" end
if setfenv ~= nil then found[#found + 1] = "setfenv" end
if load ~= nil then found[#found + 1] = "load" end
if loadstring ~= nil then found[#found + 1] = "loadstring" end
if loadfile ~= nil then found[#found + 1] = "loadfile" end
if dofile ~= nil then found[#found + 1] = "dofile" end
if require ~= nil then found[#found + 1] = "require" end
if collectgarbage ~= nil then found[#found + 1] = "collectgarbage" end
if newproxy ~= nil then found[#found + 1] = "newproxy" end
if gcinfo ~= nil then found[#found + 1] = "gcinfo" end
if _G ~= nil then found[#found + 1] = "_G" end
if _ENV ~= nil then found[#found + 1] = "_ENV" end
if io ~= nil then found[#found + 1] = "io" end
if os ~= nil then found[#found + 1] = "os" end
if debug ~= nil then found[#found + 1] = "debug" end
if package ~= nil then found[#found + 1] = "package" end
if vector ~= nil then found[#found + 1] = "vector" end
assert(#found == 0, table.concat(found, ", "))
