local function masked(config, value)
    if type(value) == "string" and config.keep_last > 0 and #value > config.keep_last * 2 then
        return config.mask .. string.sub(value, -config.keep_last)
    end
    return config.mask
end

local function matches(path, place, names)
    if #path ~= place then
        return false
    end
    for index, word in path do
        if word ~= "*" and word ~= names[index] then
            return false
        end
    end
    return true
end

local function is_hidden(state, names, place)
    local name = names[place]
    if state.fields[name] then
        return true
    end
    for _, path in state.paths do
        if matches(path, place, names) then
            return true
        end
    end
    return false
end

local function walk(config, state, value, names, place)
    if type(value) == "string" then
        for _, pattern in config.patterns do
            value = gate.regex.replace(pattern, value, state.replacement)
        end
        return value
    elseif type(value) ~= "table" then
        return value
    end
    for key, member in value do
        names[place + 1] = tostring(key)
        if is_hidden(state, names, place + 1) then
            value[key] = if config.remove and type(key) == "string" then nil else masked(config, member)
        else
            value[key] = walk(config, state, member, names, place + 1)
        end
    end
    return value
end

return {
    init = function(config)
        local state = { fields = {}, paths = {}, replacement = (string.gsub(config.mask, "%$", "$$")) }
        for _, name in config.fields do
            state.fields[name] = true
        end
        for _, path in config.paths do
            table.insert(state.paths, string.split(path, "."))
        end
        for _, pattern in config.patterns do
            gate.regex.test(pattern, "")
        end
        return state
    end,

    response = function(config, state)
        local media_type = string.lower(response.header("content-type") or "")
        local body = response.body() or ""
        if body == "" or not string.find(media_type, "json", 1, true) then
            return
        end
        -- A body that says it is JSON and is not cannot be redacted, so it does not pass.
        local value = json.decode(body)
        response.set_body(json.encode(walk(config, state, value, {}, 0)))
        response.remove_header("etag")
    end,
}
