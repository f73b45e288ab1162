local function case(name, body, want, config, media_type)
    return {
        name = name, config = config,
        request = { method = "POST", body = body, headers = { ["content-type"] = media_type or "application/xml" } },
        expect = { request = { body = want } },
    }
end

return {
    case("a document becomes JSON", '<order id="7"><item>a</item><item>b</item></order>', { order = { ["@id"] = "7", item = { "a", "b" } } }),
    case("the root can be left out", "<order><id>7</id></order>", { id = "7" }, { strip_root = true }),
    case("single elements can be lists", "<order><item>a</item></order>", { order = { item = { "a" } } }, { lists = { "item" } }),
    case("numbers can become numbers", "<a><n>7.5</n><t>true</t><x>7a</x></a>", { a = { n = 7.5, t = true, x = "7a" } }, { numbers = true }),
    case("types with a suffix are XML", "<a>1</a>", { a = "1" }, nil, "application/soap+xml; charset=utf-8"),
    case("other types pass", "<a>1</a>", "<a>1</a>", nil, "text/plain"),
    case("no body passes", "", ""),
    {
        name = "what is no XML is refused",
        request = { method = "POST", body = "<a>", headers = { ["content-type"] = "text/xml" } },
        expect = { response = { status = 400, exit = true } },
    },
    {
        name = "entities that expand are refused",
        request = { method = "POST", body = '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', headers = { ["content-type"] = "text/xml" } },
        expect = { response = { status = 400, exit = true } },
    },
}
