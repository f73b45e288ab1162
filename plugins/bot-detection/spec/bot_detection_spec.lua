local function case(name, agent, status, config)
    return {
        name = name, config = config, request = { headers = { ["user-agent"] = agent } },
        expect = { response = { status = status, exit = status ~= 200 } },
    }
end

return {
    case("a browser is let in", "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0", 200),
    case("a scanner is kept out, in any case", "SQLMap/1.8", 403),
    case("a bare library is kept out", "python-requests/2.32", 403),
    case("a request without a user agent is kept out", nil, 403),
    case("unless that is allowed", nil, 200, { require_user_agent = false }),
    case("the built-in list can be left out", "python-requests/2.32", 200, { built_in = false }),
    case("own patterns act", "AcmeCrawler/2", 403, { deny = { "acme(crawler|bot)" } }),
    case("allowed ones are let in first", "python-requests/2.32 partner-a", 200, { allow = { "partner-a$" } }),
    { name = "a pattern that is none is refused when it is loaded", config = { deny = { "(" } }, expect = { error = "the pattern cannot be used" } },
}
