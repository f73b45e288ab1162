-- Reads as much of GraphQL (October 2021, section 2) as counting needs: names, braces and spreads; arguments and values are
-- passed over.

local function tokens(text)
    local list, at = {}, 1
    while at <= #text do
        local character = string.sub(text, at, at)
        if character == "#" then
            at = (string.find(text, "[\r\n]", at) or #text) + 1
        elseif string.sub(text, at, at + 2) == '"""' then
            local stop = string.find(text, '"""', at + 3, true)
            at = (stop or #text) + 3
        elseif character == '"' then
            at += 1
            while at <= #text and string.sub(text, at, at) ~= '"' do
                at += if string.sub(text, at, at) == "\\" then 2 else 1
            end
            at += 1
        elseif string.find(character, "[%a_]") then
            local name = string.match(text, "^[%w_]+", at)
            table.insert(list, name)
            at += #name
        elseif string.sub(text, at, at + 2) == "..." then
            table.insert(list, "...")
            at += 3
        else
            if string.find(character, "[{}%(%)@:]") then
                table.insert(list, character)
            end
            at += 1
        end
    end
    return list
end

-- Passes over what stands in brackets.
local function skip_arguments(list, at)
    local open = 0
    repeat
        if list[at] == "(" then open += 1 end
        if list[at] == ")" then open -= 1 end
        at += 1
    until open == 0 or at > #list
    return at
end

local selection

-- A selection set: a list of fields, spreads and inline fragments.
function selection(list, at, level)
    if level > 64 then
        error("the operation nests too deep", 0)
    end
    local fields = {}
    at += 1
    while at <= #list and list[at] ~= "}" do
        local token = list[at]
        if token == "..." then
            at += 1
            local entry = { kind = "inline" }
            if list[at] == "on" then
                at += 2
            elseif list[at] ~= "{" and list[at] ~= "@" then
                entry = { kind = "spread", name = list[at] }
                at += 1
            end
            table.insert(fields, entry)
        elseif token == "(" then
            at = skip_arguments(list, at)
        elseif token == "@" then
            at += 2
        elseif token == "{" then
            local inner
            inner, at = selection(list, at, level + 1)
            if #fields > 0 then
                fields[#fields].fields = inner
            end
        elseif token == ":" then
            -- The name before was an alias.
            fields[#fields].name = list[at + 1]
            at += 2
        else
            table.insert(fields, { kind = "field", name = token })
            at += 1
        end
    end
    return fields, at + 1
end

local function parse(text)
    local list = tokens(text)
    local operations, fragments, at = {}, {}, 1
    while at <= #list do
        if list[at] == "fragment" then
            local name = list[at + 1] or ""
            while at <= #list and list[at] ~= "{" do at += 1 end
            fragments[name], at = selection(list, at, 1)
        else
            while at <= #list and list[at] ~= "{" do
                at = if list[at] == "(" then skip_arguments(list, at) else at + 1
            end
            if at <= #list then
                local fields
                fields, at = selection(list, at, 1)
                table.insert(operations, fields)
            end
        end
    end
    return operations, fragments
end

local function measure(config, fields, fragments, depth, counted, used)
    if depth > config.depth_max then
        return "it nests deeper than " .. config.depth_max
    end
    for _, field in fields do
        local why
        if field.kind == "spread" then
            if used[field.name] then
                return "a fragment uses itself"
            end
            used[field.name] = true
            why = measure(config, fragments[field.name] or {}, fragments, depth, counted, used)
            used[field.name] = nil
        elseif field.kind == "inline" then
            why = measure(config, field.fields or {}, fragments, depth, counted, used)
        else
            counted.fields += 1
            if counted.fields > config.fields_max then
                return "it asks for more than " .. config.fields_max .. " fields"
            end
            if not config.introspection and (field.name == "__schema" or field.name == "__type") then
                return "introspection is not offered"
            end
            why = field.fields and measure(config, field.fields, fragments, depth + 1, counted, used)
        end
        if why then
            return why
        end
    end
    return nil
end

local function problem(config, text)
    local is_read, operations, fragments = pcall(parse, text)
    if not is_read then
        return tostring(operations)
    end
    for _, fields in operations do
        local why = measure(config, fields, fragments, 1, { fields = 0 }, {})
        if why then
            return why
        end
    end
    return nil
end

local function queries()
    if request.method() == "GET" then
        return { request.query("query") }
    end
    local body = request.body() or ""
    if string.find(string.lower(request.client_header("content-type") or ""), "application/graphql", 1, true) then
        return { body }
    end
    local is_json, value = pcall(json.decode, body)
    if not is_json or type(value) ~= "table" then
        return {}
    end
    local list = {}
    for _, entry in if #value > 0 then value else { value } do
        if type(entry) == "table" and type(entry.query) == "string" then
            table.insert(list, entry.query)
        end
    end
    return list
end

return {
    request = function(config)
        for _, text in queries() do
            local why = problem(config, text)
            if why then
                gate.meter("operations_refused")
                response.exit(400, { errors = { { message = "The operation is refused: " .. why .. "." } } })
                return
            end
        end
    end,
}
