local BOTH = { blue = 1, green = 1 }

local function case(name, config, request, expect, more)
    local case = { name = name, config = config, request = request, expect = expect }
    for key, value in more or {} do case[key] = value end
    return case
end

return {
    case("a caller with a cookie stays with its variant", { variants = BOTH }, { headers = { cookie = "a=b; variant=green" } },
        { request = { headers = { ["x-variant"] = "green" } }, response = { headers = { ["set-cookie"] = false } } }),
    case("a caller without one is given a cookie", { variants = BOTH }, {},
        { request = { headers = { ["x-variant"] = true } }, response = { headers = { ["set-cookie"] = true } } }),
    case("a cookie that names no variant is replaced", { variants = BOTH }, { headers = { cookie = "variant=red" } },
        { response = { headers = { ["set-cookie"] = true } } }),
    case("weight decides", { variants = { blue = 0.000001, green = 1000000 }, sticky = "ip" }, {}, { request = { headers = { ["x-variant"] = "green" } } }),
    case("an address always has the same variant", { variants = BOTH, sticky = "ip" }, {}, { request = { headers = { ["x-variant"] = "green" } } }, { client_ip = "192.0.2.2" }),
    case("and another address another", { variants = BOTH, sticky = "ip" }, {}, { request = { headers = { ["x-variant"] = "blue" } } }, { client_ip = "192.0.2.1" }),
    case("a principal has a variant", { variants = BOTH, sticky = "principal" }, {}, { request = { headers = { ["x-variant"] = true } }, response = { headers = { ["set-cookie"] = false } } }, { caller = { principal = "ann" } }),
    case("a variant can have a path", { variants = BOTH, paths = { green = "/v2" } }, { path = "/a?b=c", headers = { cookie = "variant=green" } }, { request = { path = "/v2/a?b=c" } }),
    { name = "one variant is no choice", config = { variants = { blue = 1 } }, expect = { refused = { "/variants" } } },
}
