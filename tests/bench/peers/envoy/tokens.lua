-- A token that is looked up in a table of 1,000; two headers for the upstream, or 401.
local tokens = {}
for i = 0, 999 do
    tokens["token-" .. i] = { sub = "user-" .. i, plan = (i % 2 == 0) and "gold" or "free" }
end

local function authorize(handle)
    local headers = handle:headers()
    local token = headers:get("x-token")
    local row = token and tokens[token]
    if not row then
        handle:respond({ [":status"] = "401" }, "")
        return
    end
    headers:replace("x-sub", row.sub)
    headers:replace("x-plan", row.plan)
end
