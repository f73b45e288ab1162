-- Scanners, scrapers and bare libraries. Search engines are not among them: they say who they are, and robots.txt is for them.
local BUILT_IN = "sqlmap|nikto|nmap|masscan|zgrab|nuclei|dirbuster|gobuster|wpscan|acunetix|nessus|openvas|"
    .. "scrapy|httrack|webcopier|teleport|ahrefsbot|semrushbot|mj12bot|dotbot|petalbot|"
    .. "python-requests|python-urllib|libwww-perl|go-http-client|java/|okhttp-bot|phantomjs|headlesschrome"

local function any(patterns)
    if #patterns == 0 then
        return nil
    end
    return "(?i)(?:" .. table.concat(patterns, ")|(?:") .. ")"
end

return {
    init = function(config)
        local deny = {}
        for _, pattern in config.deny do
            table.insert(deny, pattern)
        end
        if config.built_in then
            table.insert(deny, BUILT_IN)
        end
        local state = { deny = any(deny), allow = any(config.allow) }
        for _, pattern in state do
            gate.regex.test(pattern, "")
        end
        return state
    end,

    authorize = function(config, state)
        local agent = request.header("user-agent") or ""
        if state.allow and gate.regex.test(state.allow, agent) then
            return
        end
        local is_bot = (agent == "" and config.require_user_agent) or (state.deny and gate.regex.test(state.deny, agent))
        if is_bot then
            gate.meter("bots_refused")
            response.exit(403, { error = "access_denied" })
        end
    end,
}
