local function case(name, body, status, config, media_type)
    return {
        name = name, config = config,
        request = { method = "POST", body = body, headers = { ["content-type"] = media_type or "application/json" } },
        expect = { response = { status = status, exit = status ~= 200 } },
    }
end

local function nested(depth)
    return string.rep("[", depth) .. string.rep("]", depth)
end

return {
    case("an ordinary body passes", '{"a":[1,"x",{"b":null}]}', 200),
    case("no body passes", "", 200),
    case("as deep as allowed passes", nested(16), 200),
    case("deeper is refused", nested(17), 400),
    case("bombs of brackets are refused", nested(5000), 400),
    case("many members are refused", '{"a":1,"b":2,"c":3}', 400, { members_max = 2 }),
    case("many items are refused", "[1,2,3]", 400, { items_max = 2 }),
    case("long names are refused", '{"abc":1}', 400, { name_length_max = 2 }),
    case("long texts are refused", '{"a":"abc"}', 400, { text_length_max = 2 }),
    case("large bodies are refused", '{"a":"abcdefgh"}', 400, { body_bytes_max = 10 }),
    case("what is no JSON is refused", '{"a":', 400),
    case("other types are not looked at", "{", 200, nil, "text/plain"),
    case("types with a suffix are", "{", 400, nil, "application/problem+json; charset=utf-8"),
    { name = "limits have limits", config = { depth_max = 65 }, expect = { refused = { "/depth_max" } } },
}
