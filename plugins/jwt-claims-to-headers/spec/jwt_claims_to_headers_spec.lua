local SECRET = "a shared secret of 32 bytes or more"
local NOW = 1775736000
local CONFIG = { keys = "env:KEY", algorithms = { "HS256" }, headers = { ["X-User"] = "sub", ["x-team"] = "org.team", ["x-roles"] = "roles" } }

local function token(claims, secret)
    return "Bearer " .. gate.jwt.sign(claims, secret or SECRET)
end

local function case(name, authorization, expect, config, headers)
    headers = headers or {}
    headers.authorization = authorization
    return {
        name = name, config = config or CONFIG, secrets = { ["env:KEY"] = SECRET }, now = NOW,
        request = { headers = headers }, expect = expect,
    }
end

local GOOD = token({ sub = "ann", org = { team = "red" }, roles = { "a", "b" }, exp = NOW + 60 })
return {
    case("claims become headers", GOOD, { request = { headers = { ["x-user"] = "ann", ["x-team"] = "red", ["x-roles"] = '["a","b"]', authorization = false } }, caller = { principal = "ann" } }),
    case("a client cannot send them itself", token({ sub = "ann", exp = NOW + 60 }), { request = { headers = { ["x-user"] = "ann", ["x-team"] = false } } }, nil, { ["x-user"] = "eve", ["x-team"] = "blue" }),
    case("the token can be forwarded", GOOD, { request = { headers = { authorization = true } } }, { keys = "env:KEY", algorithms = { "HS256" }, forward_token = true }),
    case("a token that has expired is refused", token({ sub = "ann", exp = NOW - 31 }), { response = { status = 401 } }),
    case("clocks may be apart", token({ sub = "ann", exp = NOW - 29 }), { response = { status = 200 } }),
    case("another key's token is refused", token({ sub = "ann" }, "another shared secret of 32 bytes or more"), { response = { status = 401 } }),
    case("another issuer's is refused", token({ sub = "ann", iss = "b" }), { response = { status = 401 } }, { keys = "env:KEY", algorithms = { "HS256" }, issuer = "a" }),
    case("one for others is refused", token({ sub = "ann", aud = "b" }), { response = { status = 401 } }, { keys = "env:KEY", algorithms = { "HS256" }, audience = { "a" } }),
    case("one for us is not", token({ sub = "ann", aud = { "b", "a" } }), { response = { status = 200 } }, { keys = "env:KEY", algorithms = { "HS256" }, audience = { "a" } }),
    case("a token is needed", nil, { response = { status = 401 } }),
    case("nonsense is refused", "Bearer nonsense", { response = { status = 401 } }),
    { name = "unknown algorithms are refused", config = { keys = "env:KEY", algorithms = { "none" } }, expect = { refused = { "/algorithms/0" } } },
}
