local LIST = "# test networks\n192.0.2.0/24,DE\n198.51.100.0/25,FR\n198.51.100.128/25, IT\n2001:db8::/32,NL\n"

local function case(name, address, want, config)
    local settings = { networks = "file:countries.csv" }
    for key, value in config or {} do settings[key] = value end
    local header = settings.header or "x-country"
    return {
        name = name, config = settings, secrets = { ["file:countries.csv"] = LIST }, client_ip = address,
        request = { headers = { [header] = "XX" } },
        expect = { request = { headers = { [header] = want } } },
    }
end

return {
    case("an address is found", "192.0.2.7", "DE"),
    case("a network's first address is in it", "198.51.100.128", "IT"),
    case("a network's last address is in it", "198.51.100.127", "FR"),
    case("IPv6 addresses are found", "2001:db8::7", "NL"),
    case("a client's own word is removed", "203.0.113.7", false),
    case("the unknown can have a name", "203.0.113.7", "ZZ", { unknown = "ZZ" }),
    case("the header can be named", "192.0.2.7", "DE", { header = "X-Geo" }),
    {
        name = "a line that is none is refused when it is loaded",
        config = { networks = "file:bad.csv" }, secrets = { ["file:bad.csv"] = "192.0.2.0/33,DE" },
        expect = { error = "192.0.2.0/33" },
    },
    {
        name = "networks that overlap are refused when they are loaded",
        config = { networks = "file:bad.csv" }, secrets = { ["file:bad.csv"] = "192.0.2.0/24,DE\n192.0.2.0/25,FR" },
        expect = { error = "overlap" },
    },
}
