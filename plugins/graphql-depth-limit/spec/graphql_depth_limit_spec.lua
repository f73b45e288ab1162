local function case(name, query, status, config)
    return {
        name = name, config = config,
        request = { method = "POST", path = "/graphql", headers = { ["content-type"] = "application/json" }, body = { query = query } },
        expect = { response = { status = status, exit = status ~= 200 } },
    }
end

local DEEP = "{ a { b { c { d } } } }"
return {
    case("a shallow operation passes", "query Q($x: Int = 1) { user(id: $x, where: { a: { b: 1 } }) { name } }", 200, { depth_max = 2 }),
    case("as deep as allowed passes", DEEP, 200, { depth_max = 4 }),
    case("deeper is refused", DEEP, 400, { depth_max = 3 }),
    case("fragments count where they are used", "{ a { ...F } } fragment F on T { b { c } }", 400, { depth_max = 2 }),
    case("inline fragments add no depth", "{ a { ... on T { b } } }", 200, { depth_max = 2 }),
    case("fragments in a circle are refused", "{ ...F } fragment F on T { a { ...F } }", 400),
    case("many fields are refused", "{ a b c d }", 400, { fields_max = 3 }),
    case("aliases count as fields once", "{ x: a y: b }", 200, { fields_max = 2 }),
    case("braces in texts and comments count nothing", '{ a(s: "{{{{{") # {{{{\n b(s: """ {{{ """) }', 200, { depth_max = 1 }),
    case("introspection can be switched off", "{ __schema { types { name } } }", 400, { introspection = false }),
    case("also behind an alias", "{ a: __type(name: \"T\") { name } }", 400, { introspection = false }),
    case("a bomb of braces is refused", string.rep("{a", 5000), 400),
    {
        name = "operations in a batch are looked at one by one",
        config = { depth_max = 3 },
        request = { method = "POST", headers = { ["content-type"] = "application/json" }, body = { { query = "{ a }" }, { query = DEEP } } },
        expect = { response = { status = 400, exit = true } },
    },
    {
        name = "operations in the query are looked at",
        config = { depth_max = 3 },
        request = { path = "/graphql?query=%7Ba%7Bb%7Bc%7Bd%7D%7D%7D%7D" },
        expect = { response = { status = 400, exit = true } },
    },
    {
        name = "other bodies pass",
        request = { method = "POST", body = "no query" },
        expect = { response = { status = 200 } },
    },
}
