return {
    -- Networks that are none are found when the API is loaded, not when somebody calls.
    init = function(config)
        for _, list in { config.allow, config.deny } do
            for _, network in list do
                local range, why = gate.ip.range(network)
                if not range then
                    error("`" .. network .. "`: " .. why, 0)
                end
            end
        end
    end,

    authorize = function(config)
        local address = gate.identity.ip()
        local is_denied = gate.ip.matches(address, config.deny)
        if is_denied or (#config.allow > 0 and not gate.ip.matches(address, config.allow)) then
            response.exit(config.status, { error = config.status == 404 and "not_found" or "access_denied" })
        end
    end,
}
