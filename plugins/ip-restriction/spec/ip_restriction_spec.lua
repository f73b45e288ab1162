local function case(name, config, address, status)
    return { name = name, config = config, client_ip = address, expect = { response = { status = status, exit = status ~= 200 } } }
end

return {
    case("without lists everybody may call", {}, "192.0.2.1", 200),
    case("an allowed network may call", { allow = { "192.0.2.0/24" } }, "192.0.2.1", 200),
    case("others may not", { allow = { "192.0.2.0/24" } }, "198.51.100.1", 403),
    case("a denied network may not", { deny = { "192.0.2.1" } }, "192.0.2.1", 403),
    case("denying wins", { allow = { "192.0.2.0/24" }, deny = { "192.0.2.1" } }, "192.0.2.1", 403),
    case("IPv6 is understood", { allow = { "2001:db8::/32" } }, "2001:db8::1", 200),
    case("IPv4 in IPv6 clothing is IPv4", { allow = { "192.0.2.0/24" } }, "::ffff:192.0.2.1", 200),
    case("others can be told that there is nothing", { allow = { "192.0.2.0/24" }, status = 404 }, "198.51.100.1", 404),
    { name = "a network that is none is refused when it is loaded", config = { allow = { "192.0.2" } }, expect = { error = "not a network" } },
    { name = "other statuses are refused", config = { status = 200 }, expect = { refused = { "/status" } } },
}
