-- `$NAME` is a variable of the context; `$$` is a dollar sign.
local function filled(text)
    local value = string.gsub(text, "%$([%$%w%.]+)", function(name)
        if string.sub(name, 1, 1) == "$" then
            return string.sub(name, 1)
        end
        local part = context
        for word in string.gmatch(name, "[^%.]+") do
            part = part and part[word]
        end
        return part == nil and "" or tostring(part)
    end)
    return value
end

local function changed_query(config)
    local kept = {}
    for pair in string.gmatch(request.raw_query() or "", "[^&]+") do
        local name = string.match(pair, "^([^=]*)")
        name = gate.url.decode((string.gsub(name, "+", " "))) or name
        if config.set_query[name] == nil and not table.find(config.remove_query, name) then
            table.insert(kept, pair)
        end
    end
    local set = {}
    for name, value in config.set_query do
        set[name] = filled(value)
    end
    if next(set) then
        table.insert(kept, gate.url.build_query(set))
    end
    return table.concat(kept, "&")
end

return {
    request = function(config)
        for _, name in config.remove_headers do
            request.remove_header(name)
        end
        for old, new in config.rename_headers do
            local value = request.header(old)
            if value then
                request.remove_header(old)
                request.set_header(new, value)
            end
        end
        for name, value in config.set_headers do
            request.set_header(name, filled(value))
        end
        for name, value in config.add_headers do
            request.add_header(name, filled(value))
        end
        if next(config.set_query) or #config.remove_query > 0 then
            local query = changed_query(config)
            request.set_path(request.path() .. (query == "" and "" or "?" .. query))
        end
    end,
}
