local function case(name, config, upstream, want)
    return { name = name, config = config, upstream = upstream, expect = { response = want } }
end

return {
    case("fields are removed", { remove_headers = { "Server" } }, { headers = { server = "x/1" } }, { headers = { server = false } }),
    case("fields are set", { set_headers = { ["cache-control"] = "no-store" } }, { headers = { ["cache-control"] = "public" } }, { headers = { ["cache-control"] = "no-store" } }),
    case("fields are set where they are absent", { set_headers_if_absent = { a = "1", b = "1" } }, { headers = { a = "0" } }, { headers = { a = "0", b = "1" } }),
    case("fields are added", { add_headers = { vary = "accept" } }, { headers = { vary = "origin" } }, { headers = { vary = { "origin", "accept" } } }),
    case("statuses are changed", { statuses = { ["404"] = 410 } }, { status = 404 }, { status = 410 }),
    case("other statuses stay", { statuses = { ["404"] = 410 } }, { status = 200 }, { status = 200 }),
    { name = "what is no status is refused", config = { statuses = { ok = 200 } }, expect = { refused = { "/statuses" } } },
}
