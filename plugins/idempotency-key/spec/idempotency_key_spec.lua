local function ask(key, body, path)
    return { method = "POST", path = path or "/orders", headers = { ["idempotency-key"] = key }, body = body or "{}" }
end

local UPSTREAM = { status = 201, headers = { ["content-type"] = "application/json" }, body = { id = 7 } }

local function case(name, request, before, response, config, upstream)
    return { name = name, config = config, request = request, before = before, upstream = upstream or UPSTREAM, expect = { response = response } }
end

return {
    case("the first request passes", ask("a"), nil, { status = 201, exit = false, headers = { ["idempotency-replayed"] = false } }),
    case("the second one is answered alike without the upstream", ask("a"), { ask("a") },
        { status = 201, exit = true, body = { id = 7 }, headers = { ["idempotency-replayed"] = "true", ["content-type"] = "application/json" } }),
    case("another key passes", ask("b"), { ask("a") }, { status = 201, exit = false }),
    case("another path is another request", ask("a", "{}", "/other"), { ask("a") }, { status = 201, exit = false }),
    case("the same key with another body is refused", ask("a", '{"x":1}'), { ask("a") }, { status = 422, exit = true }),
    case("what failed may be tried again", ask("a"), { ask("a") }, { status = 503, exit = false }, nil, { status = 503 }),
    case("without a key nothing is kept", { method = "POST", path = "/orders" }, { { method = "POST", path = "/orders" } }, { status = 201, exit = false }),
    case("a key can be demanded", { method = "POST" }, nil, { status = 400, exit = true }, { required = true }),
    case("other methods need none", { method = "GET" }, nil, { status = 201, exit = false }, { required = true }),
    case("long keys are refused", ask(string.rep("k", 256)), nil, { status = 400, exit = true }),
}
