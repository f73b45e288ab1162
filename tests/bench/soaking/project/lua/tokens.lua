local tokens = {}
for i = 0, 999 do
    tokens["token-" .. i] = { isAuthorized = true, context = { sub = "user-" .. i } }
end

return function(request)
    local row = tokens[request.header("x-token") or ""]
    if not row then
        error("Unauthorized", 0)
    end
    return row
end
