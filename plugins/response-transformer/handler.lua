return {
    response = function(config)
        for _, name in config.remove_headers do
            response.remove_header(name)
        end
        for name, value in config.set_headers do
            response.set_header(name, value)
        end
        for name, value in config.set_headers_if_absent do
            if response.header(name) == nil then
                response.set_header(name, value)
            end
        end
        for name, value in config.add_headers do
            response.add_header(name, value)
        end
        local status = config.statuses[tostring(response.status())]
        if status then
            response.set_status(status)
        end
    end,
}
