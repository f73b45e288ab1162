local HEADER = "x-correlation-id"

-- A case in which the client sends `sent` and both sides are to see `want`.
local function case(name, sent, want, config)
    local header = config and config.header or HEADER
    return {
        name = name,
        config = config,
        request = { headers = { [header] = sent } },
        expect = {
            request = { headers = { [header] = want } },
            response = { status = 200, headers = { [header] = want }, exit = false },
        },
    }
end

local MADE = "{request_id}"

return {
    case("an id is made of the request's where the client sends none", nil, MADE),
    case("a client's id is passed on and echoed", "checkout-42", "checkout-42"),
    case("a UUID is kept", "0192d3c4-5e6f-7a8b-9c0d-1e2f3a4b5c6d", "0192d3c4-5e6f-7a8b-9c0d-1e2f3a4b5c6d"),
    case("an empty id is replaced", "", MADE),
    case("an id with a space is replaced", "a b", MADE),
    case("an id that could break out of a log line is replaced", 'a","admin":"true', MADE),
    case("an id beyond ASCII is replaced", "caf\u{e9}", MADE),
    case("an id of the greatest length is kept", string.rep("a", 128), string.rep("a", 128)),
    case("an id that is longer is replaced", string.rep("a", 129), MADE),
    case("the greatest length can be set", "123456789", MADE, { length_max = 8 }),
    case("the header can be named, in any case", "abc", "abc", { header = "X-Request-Reference" }),
    case("of several ids the first one counts, and only one is passed on", { "one", "two" }, "one"),
    {
        name = "a client's id reaches an integration that gets none of the client's headers",
        request = { headers = { [HEADER] = "abc" } },
        integration = { headers = { accept = "application/json" } },
        expect = {
            request = { headers = { [HEADER] = "abc", accept = "application/json" } },
            response = { headers = { [HEADER] = "abc" } },
        },
    },
    {
        name = "another header's id is left alone when the header is named",
        config = { header = "x-trace" },
        request = { headers = { [HEADER] = "abc" } },
        expect = {
            request = { headers = { [HEADER] = "abc", ["x-trace"] = MADE } },
            response = { headers = { [HEADER] = false, ["x-trace"] = MADE } },
        },
    },
    {
        name = "what the upstream says about the id is overruled, and its answer passes otherwise",
        request = { headers = { [HEADER] = "abc" } },
        upstream = { status = 404, headers = { [HEADER] = "xyz", ["content-type"] = "text/plain" }, body = "no such pet" },
        expect = {
            response = {
                status = 404,
                headers = { [HEADER] = "abc", ["content-type"] = "text/plain" },
                body = "no such pet",
            },
        },
    },
    {
        name = "method, path and body of the request pass unchanged",
        request = { method = "POST", path = "/pets?tag=a", body = { name = "Rex" } },
        expect = { request = { method = "POST", path = "/pets?tag=a", body = { name = "Rex" } } },
    },
    {
        name = "a header name that cannot be sent is refused",
        config = { header = "x correlation" },
        expect = { refused = { "/header" } },
    },
    {
        name = "a header that the gateway writes itself is refused",
        config = { header = "Content-Length" },
        expect = { refused = { "/header" } },
    },
    {
        name = "lengths that are no bound are refused",
        config = { length_max = 0 },
        expect = { refused = { "/length_max" } },
    },
    {
        name = "unknown settings are refused",
        config = { headers = "x-correlation-id" },
        expect = { refused = { "/headers" } },
    },
}
