-- A number from 0 to 1 that is the same for the same text, whatever node is asked.
local function share(text)
    return tonumber(string.sub(gate.hex.encode(gate.crypto.sha256(text)), 1, 8), 16) / 0x100000000
end

local function cookie(name)
    for pair in string.gmatch(request.client_header("cookie") or "", "[^;]+") do
        local key, value = string.match(pair, "^%s*([^=]+)=(.*)$")
        if key == name then
            return value
        end
    end
    return nil
end

local function pick(state, number)
    local sum = 0
    for _, variant in state.variants do
        sum += variant.weight / state.total
        if number < sum then
            return variant.name
        end
    end
    return state.variants[#state.variants].name
end

-- Both phases find the same variant; the request's own id decides for a caller whom nothing else tells.
local function choose(config, state)
    if config.sticky == "cookie" then
        local kept = cookie(config.cookie)
        if kept and config.variants[kept] then
            return kept, true
        end
        return pick(state, share(context.requestId)), false
    end
    local caller = config.sticky == "principal" and gate.identity.principal() or gate.identity.ip()
    return pick(state, share(caller)), true
end

return {
    init = function(config)
        local state = { variants = {}, total = 0 }
        for name, weight in config.variants do
            table.insert(state.variants, { name = name, weight = weight })
            state.total += weight
        end
        table.sort(state.variants, function(a, b)
            return a.name < b.name
        end)
        return state
    end,

    request = function(config, state)
        local variant = choose(config, state)
        request.set_header(config.header, variant)
        local path = config.paths[variant]
        if path then
            local query = request.raw_query()
            request.set_path(path .. request.path() .. (query and "?" .. query or ""))
        end
    end,

    response = function(config, state)
        local variant, is_kept = choose(config, state)
        if not is_kept then
            response.add_header("set-cookie", config.cookie .. "=" .. variant .. "; Path=/; Max-Age=" .. config.cookie_seconds .. "; SameSite=Lax; HttpOnly")
        end
    end,
}
