local function converted(value, config, lists)
    if type(value) ~= "table" then
        if config.numbers then
            if value == "true" or value == "false" then
                return value == "true"
            end
            if string.find(value, "^-?%d[%d%.]*$") then
                return tonumber(value) or value
            end
        end
        return value
    end
    local result = {}
    for name, member in value do
        if type(member) == "table" and #member > 0 then
            local list = {}
            for place, item in ipairs(member) do
                list[place] = converted(item, config, lists)
            end
            result[name] = list
        elseif lists[name] then
            result[name] = { converted(member, config, lists) }
        else
            result[name] = converted(member, config, lists)
        end
    end
    return result
end

return {
    init = function(config)
        local lists = {}
        for _, name in config.lists do
            lists[name] = true
        end
        return lists
    end,

    map_request = function(config, lists)
        local media_type = string.lower(request.header("content-type") or "")
        local body = request.body() or ""
        if body == "" or not string.find(media_type, "[/+]xml") then
            return nil
        end
        local document, why = gate.xml.decode(body)
        if not document then
            response.exit(400, { error = "bad_request_body", message = "The body is not XML: " .. why .. "." })
            return nil
        end
        local result = converted(document, config, lists)
        if config.strip_root then
            local _, root = next(result)
            return type(root) == "table" and root or { value = root }
        end
        return result
    end,
}
