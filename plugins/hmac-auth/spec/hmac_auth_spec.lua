local SECRETS = { ["env:ANN"] = "a secret of ann's, long enough" }
local CONFIG = { clients = { ann = "env:ANN" } }
local DATE = "2026-04-09T12:00:00Z"
local NOW = 1775736000

local function sign(method, path, query, digest, secret)
    local text = table.concat({ method, path, query, DATE, digest }, "\n")
    return "HMAC-SHA256 ann, " .. gate.hex.encode(gate.crypto.hmac("sha256", secret or SECRETS["env:ANN"], text))
end

local BODY = '{"a":1}'
local DIGEST = "sha-256=:" .. gate.base64.encode(gate.crypto.sha256(BODY)) .. ":"

local function case(name, headers, body, status, now)
    return {
        name = name,
        config = CONFIG,
        secrets = SECRETS,
        now = now or NOW,
        request = { method = "POST", path = "/orders?x=1", headers = headers, body = body },
        expect = { response = { status = status, exit = status ~= 200 } },
    }
end

local good = sign("POST", "/orders", "x=1", DIGEST)
return {
    case("a signed request is let in", { authorization = good, ["x-date"] = DATE, ["content-digest"] = DIGEST }, BODY, 200),
    case("without a body no digest is needed", { authorization = sign("POST", "/orders", "x=1", ""), ["x-date"] = DATE }, nil, 200),
    case("another body is refused", { authorization = good, ["x-date"] = DATE, ["content-digest"] = DIGEST }, "{}", 401),
    case("another secret is refused",
        { authorization = sign("POST", "/orders", "x=1", DIGEST, "another secret, also long"), ["x-date"] = DATE, ["content-digest"] = DIGEST }, BODY, 401),
    case("another query is refused",
        { authorization = sign("POST", "/orders", "x=2", DIGEST), ["x-date"] = DATE, ["content-digest"] = DIGEST }, BODY, 401),
    case("an old signature is refused", { authorization = good, ["x-date"] = DATE, ["content-digest"] = DIGEST }, BODY, 401, NOW + 301),
    case("a signature is needed", {}, nil, 401),
    case("an unknown client is refused",
        { authorization = string.gsub(good, "ann", "bob"), ["x-date"] = DATE, ["content-digest"] = DIGEST }, BODY, 401),
    {
        name = "the client is the principal",
        config = CONFIG, secrets = SECRETS, now = NOW,
        request = { method = "POST", path = "/orders?x=1", headers = { authorization = good, ["x-date"] = DATE, ["content-digest"] = DIGEST }, body = BODY },
        expect = { caller = { principal = "ann" } },
    },
    { name = "clients are needed", config = {}, expect = { refused = { "" } } },
}
