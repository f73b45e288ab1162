local function claim(claims, path)
    local value = claims
    for name in string.gmatch(path, "[^%.]+") do
        if type(value) ~= "table" then
            return nil
        end
        value = value[name]
    end
    if type(value) == "table" then
        return json.encode(value)
    end
    return value ~= json.null and value or nil
end

local function verified(config)
    local token = string.match(request.client_header("authorization") or "", "^[Bb]earer (%S+)$")
    if not token then
        return nil, "no bearer token"
    end
    return gate.jwt.verify(token, gate.secret(config.keys), {
        algorithms = config.algorithms,
        issuer = config.issuer,
        audience = config.audience,
        leeway_seconds = config.leeway_seconds,
    })
end

return {
    authorize = function(config)
        local claims, why = verified(config)
        if not claims then
            log.info("jwt-claims-to-headers:", why)
            response.exit(401, { error = "unauthorized" }, { ["www-authenticate"] = 'Bearer error="invalid_token"' })
            return nil
        end
        return { isAuthorized = true, principalId = claim(claims, "sub"), context = { token_id = claim(claims, "jti") } }
    end,

    -- Claims may be larger than what an authorizer may hand on, so the token is read again; its keys are read already.
    request = function(config)
        local claims = verified(config) or {}
        for header, path in config.headers do
            -- A client must not be able to send what the upstream takes for the token's word.
            request.remove_header(header)
            local value = claim(claims, path)
            if value ~= nil then
                request.set_header(header, value)
            end
        end
        if not config.forward_token then
            request.remove_header("authorization")
        end
    end,
}
