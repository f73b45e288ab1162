-- A token that is looked up in a table of 1,000; two headers for the upstream, or 401.
local tokens = {}
for i = 0, 999 do
    tokens["token-" .. i] = { sub = "user-" .. i, plan = (i % 2 == 0) and "gold" or "free" }
end

local authorizer = {}

function authorizer.check()
    local token = ngx.var.http_x_token
    local row = token and tokens[token]
    if not row then
        return ngx.exit(401)
    end
    ngx.req.set_header("x-sub", row.sub)
    ngx.req.set_header("x-plan", row.plan)
end

return authorizer
