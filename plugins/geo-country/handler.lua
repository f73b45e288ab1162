-- The list is sorted once; a look-up is a binary search over the networks' first addresses.
local function parse(text)
    local networks = {}
    for line in string.gmatch(text, "[^\r\n]+") do
        if not string.find(line, "^%s*#") and string.find(line, "%S") then
            local network, country = string.match(line, "^%s*([%x%.:/]+)%s*,%s*([%w-]+)%s*$")
            local range, why = gate.ip.range(network or line)
            if not range then
                error("`" .. line .. "`: " .. why, 0)
            end
            table.insert(networks, { first = range.first, last = range.last, country = country })
        end
    end
    table.sort(networks, function(a, b)
        return a.first < b.first
    end)
    for place = 2, #networks do
        if networks[place].first <= networks[place - 1].last then
            error("networks overlap at `" .. networks[place].country .. "`", 0)
        end
    end
    return networks
end

local function country(networks, key)
    local low, high = 1, #networks
    while low <= high do
        local middle = (low + high) // 2
        local network = networks[middle]
        if key < network.first then
            high = middle - 1
        elseif key > network.last then
            low = middle + 1
        else
            return network.country
        end
    end
    return nil
end

return {
    init = function(config)
        return parse(gate.secret(config.networks))
    end,

    request = function(config, networks)
        request.remove_header(config.header)
        local value = country(networks, gate.ip.key(gate.identity.ip())) or config.unknown
        if value ~= "" then
            request.set_header(config.header, value)
        end
    end,
}
