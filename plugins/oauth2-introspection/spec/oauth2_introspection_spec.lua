local ENDPOINT = "https://auth.example/introspect"
local CONFIG = { endpoint = ENDPOINT, client_id = "gateway", client_secret = "env:SECRET", scopes = { "read" } }
local SECRETS = { ["env:SECRET"] = "s3cret" }
local NOW = 1775736000

local function case(name, answer, expect, more)
    local case = {
        name = name, config = CONFIG, secrets = SECRETS, now = NOW,
        request = { headers = { authorization = "Bearer abc" } },
        http = { ["POST " .. ENDPOINT] = answer },
        expect = expect,
    }
    for key, value in more or {} do case[key] = value end
    return case
end

local ACTIVE = { body = { active = true, scope = "read write", sub = "ann", client_id = "app", exp = NOW + 60 } }
local ONCE = { "POST " .. ENDPOINT }
return {
    case("an active token is let in and names the caller", ACTIVE,
        { response = { status = 200 }, caller = { principal = "ann", context = { scope = "read write", client_id = "app" } }, calls = ONCE }),
    case("an answer is used again", ACTIVE, { response = { status = 200 }, calls = ONCE },
        { before = { { headers = { authorization = "Bearer abc" } } } }),
    case("an inactive token is refused", { body = { active = false } },
        { response = { status = 401, headers = { ["www-authenticate"] = 'Bearer error="invalid_token"' } } }),
    case("a token that has ended is refused", { body = { active = true, scope = "read", exp = NOW } }, { response = { status = 401 } }),
    case("a scope that is missing is 403", { body = { active = true, scope = "write" } }, { response = { status = 403 } }),
    case("a token is needed", ACTIVE, { response = { status = 401, headers = { ["www-authenticate"] = "Bearer" } }, calls = json.array() },
        { request = { headers = {} } }),
    case("an endpoint that fails lets nobody in", { status = 500 }, { error = "the introspection endpoint answered 500" }),
    case("an endpoint that is not there lets nobody in", nil, { error = "does not answer" }),
    { name = "the endpoint is needed", config = { client_id = "a", client_secret = "env:SECRET" }, expect = { refused = { "" } } },
}
