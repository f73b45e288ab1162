local check

local function check_table(config, value, depth)
    if depth > config.depth_max then
        return "it nests deeper than " .. config.depth_max
    end
    local count = 0
    local is_list = #value > 0
    local most = is_list and config.items_max or config.members_max
    for name, member in value do
        count += 1
        if count > most then
            return (is_list and "a list has more than " or "an object has more than ") .. most .. " members"
        end
        if type(name) == "string" and #name > config.name_length_max then
            return "a name is longer than " .. config.name_length_max .. " bytes"
        end
        local why = check(config, member, depth)
        if why then
            return why
        end
    end
    return nil
end

function check(config, value, depth)
    if type(value) == "string" and #value > config.text_length_max then
        return "a text is longer than " .. config.text_length_max .. " bytes"
    elseif type(value) == "table" then
        return check_table(config, value, depth + 1)
    end
    return nil
end

local function problem(config, body)
    if #body > config.body_bytes_max then
        return "it is larger than " .. config.body_bytes_max .. " bytes"
    end
    local is_json, value = pcall(json.decode, body)
    if not is_json then
        return "it is not JSON, or nests deeper than any may"
    end
    return check(config, value, 0)
end

return {
    request = function(config)
        local media_type = string.lower(request.client_header("content-type") or "application/json")
        local body = request.body() or ""
        if body == "" or not string.find(media_type, "json", 1, true) then
            return
        end
        local why = problem(config, body)
        if why then
            response.exit(400, { error = "bad_request_body", message = "The body is refused: " .. why .. "." })
        end
    end,
}
