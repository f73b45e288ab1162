-- Passes a correlation id from the client to the upstream and back. Both phases find the id by themselves: the client's
-- header does not change in between, and the request's id is the same in both.

-- Visible ASCII that needs no quoting in logs, shells and URLs: UUIDs, ULIDs, trace ids and base64url all fit.
local SANE = "^[%w%-_.:]+$"

local function correlation_id(config)
    local sent = request.client_header(config.header)
    if sent and #sent <= config.length_max and string.find(sent, SANE) then
        return sent
    end
    return context.requestId
end

return {
    request = function(config)
        request.set_header(config.header, correlation_id(config))
    end,

    response = function(config)
        response.set_header(config.header, correlation_id(config))
    end,
}
