local BODY = { name = "Ann", card = { number = "4111111111111111", month = 4 }, items = { { price = 1, sku = "a" }, { price = 2, sku = "b" } }, note = "mail ann@example.com" }

local function case(name, config, want)
    return {
        name = name, config = config,
        upstream = { headers = { ["content-type"] = "application/json", etag = '"x"' }, body = BODY },
        expect = { response = { status = 200, body = want } },
    }
end

local function with(changes)
    local copy = table.clone(BODY)
    for key, value in changes do copy[key] = value end
    return copy
end

return {
    case("fields are redacted wherever they are", { fields = { "number", "price" } },
        with({ card = { number = "***", month = 4 }, items = { { price = "***", sku = "a" }, { price = "***", sku = "b" } } })),
    case("paths name one place", { paths = { "card.month" } }, with({ card = { number = "4111111111111111", month = "***" } })),
    case("paths go through lists", { paths = { "items.*.sku" } }, with({ items = { { price = 1, sku = "***" }, { price = 2, sku = "***" } } })),
    case("the end of a text can stay", { fields = { "number" }, keep_last = 4 }, with({ card = { number = "***1111", month = 4 } })),
    case("patterns act in texts", { patterns = { "[a-z]+@[a-z.]+" }, mask = "$" }, with({ note = "mail $" })),
    case("members can be removed", { fields = { "card", "items", "note" }, remove = true }, { name = "Ann" }),
    case("without settings nothing changes", {}, BODY),
    {
        name = "other types pass",
        config = { fields = { "a" } }, upstream = { headers = { ["content-type"] = "text/plain" }, body = '{"a":1}' },
        expect = { response = { body = '{"a":1}' } },
    },
    {
        name = "what says it is JSON and is not does not pass",
        config = { fields = { "a" } }, upstream = { headers = { ["content-type"] = "application/json" }, body = '{"a":' },
        expect = { error = "json.decode" },
    },
    { name = "a pattern that is none is refused when it is loaded", config = { patterns = { "(" } }, expect = { error = "the pattern cannot be used" } },
}
