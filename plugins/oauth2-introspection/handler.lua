-- Answers are kept in this node's cache, by the digest of the token: a memory dump holds no tokens of others.

local function refuse(status, why, challenge)
    log.info("oauth2-introspection:", why)
    response.exit(status, { error = status == 403 and "insufficient_scope" or "invalid_token" }, {
        ["www-authenticate"] = challenge,
    })
end

local function introspect(config, token)
    local answer, why = gate.http.post(config.endpoint, gate.url.build_query({ token = token }), {
        timeout_ms = config.timeout_ms,
        headers = {
            ["content-type"] = "application/x-www-form-urlencoded",
            accept = "application/json",
            authorization = "Basic " .. gate.base64.encode(
                gate.url.encode(config.client_id) .. ":" .. gate.url.encode(gate.secret(config.client_secret))
            ),
        },
    })
    if not answer then
        error("the introspection endpoint does not answer: " .. why, 0)
    end
    if answer.status ~= 200 then
        error("the introspection endpoint answered " .. answer.status, 0)
    end
    return answer.body
end

local function has_scopes(wanted, scope)
    local held = {}
    for word in string.gmatch(type(scope) == "string" and scope or "", "%S+") do
        held[word] = true
    end
    for _, word in wanted do
        if not held[word] then
            return false
        end
    end
    return true
end

return {
    authorize = function(config)
        local token = string.match(request.header("authorization") or "", "^[Bb]earer ([%w%-%._~%+/]+=*)$")
        if not token then
            return refuse(401, "no bearer token", "Bearer")
        end
        local key = gate.hex.encode(gate.crypto.sha256(token))
        local text = gate.cache.get(key)
        if not text then
            text = introspect(config, token)
            if config.cache_seconds > 0 then
                gate.cache.set(key, text, config.cache_seconds)
            end
        end
        local about = json.decode(text)
        if about.active ~= true or (type(about.exp) == "number" and about.exp <= gate.time.now()) then
            return refuse(401, "the token is not active", 'Bearer error="invalid_token"')
        end
        if not has_scopes(config.scopes, about.scope) then
            return refuse(403, "the token lacks a scope", 'Bearer error="insufficient_scope"')
        end
        local context = {}
        for _, name in { "client_id", "username", "scope", "sub" } do
            if type(about[name]) == "string" then
                context[name] = about[name]
            end
        end
        return { isAuthorized = true, principalId = context.sub or context.username or context.client_id, context = context }
    end,
}
