-- A token that is looked up in a table of 1,000; two values for the upstream's headers, or 401.
local tokens = {}
for i = 0, 999 do
    tokens["token-" .. i] = {
        isAuthorized = true,
        context = { sub = "user-" .. i, plan = if i % 2 == 0 then "gold" else "free" },
    }
end

return function(request)
    local token = request.header("x-token")
    local row = token and tokens[token]
    if not row then
        error("Unauthorized", 0)
    end
    return row
end
