local function case(name, config, request, want)
    return { name = name, config = config, request = request, expect = { request = want } }
end

return {
    case("fields are removed", { remove_headers = { "X-Debug" } }, { headers = { ["x-debug"] = "1" } }, { headers = { ["x-debug"] = false } }),
    case("fields are renamed", { rename_headers = { ["X-Old"] = "x-new" } }, { headers = { ["x-old"] = "v" } }, { headers = { ["x-old"] = false, ["x-new"] = "v" } }),
    case("a field that is not there is not renamed", { rename_headers = { ["x-old"] = "x-new" } }, {}, { headers = { ["x-new"] = false } }),
    case("fields are set", { set_headers = { ["x-a"] = "1" } }, { headers = { ["x-a"] = { "0", "2" } } }, { headers = { ["x-a"] = "1" } }),
    case("fields are added", { add_headers = { ["x-a"] = "1" } }, { headers = { ["x-a"] = "0" } }, { headers = { ["x-a"] = { "0", "1" } } }),
    case("variables are filled in", { set_headers = { ["x-id"] = "id-$requestId", ["x-none"] = "[$authorizer.none]", ["x-price"] = "5$$" } }, {},
        { headers = { ["x-id"] = "id-{request_id}", ["x-none"] = "[]", ["x-price"] = "5$" } }),
    case("parameters are removed and set", { remove_query = { "b c" }, set_query = { d = "x y" } }, { path = "/p?a=1&b+c=2&d=3" }, { path = "/p?a=1&d=x%20y" }),
    case("the last parameter takes its `?` along", { remove_query = { "a" } }, { path = "/p?a=1" }, { path = "/p" }),
    case("without settings nothing changes", {}, { path = "/p?a=1", headers = { ["x-a"] = "1" } }, { path = "/p?a=1", headers = { ["x-a"] = "1" } }),
}
