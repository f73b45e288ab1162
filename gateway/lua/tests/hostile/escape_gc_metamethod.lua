-- expect: Ok
setmetatable({}, {__gc = function() while true do end end})
local t = {}
for i = 1, 10000 do t = {t} if i % 100 == 0 then t = {} end end
