-- The store holds, under the caller, the route and the key: `lock` while the first request is under way, then its answer.

local LENGTH_MAX = 255
local BODY_BYTES_MAX = 512 * 1024

local function key_of(config)
    if not table.find(config.methods, context.httpMethod) then
        return nil
    end
    return request.client_header(config.header)
end

local function store_key(key)
    local who = gate.identity.principal() or gate.identity.api_key_id() or gate.identity.ip()
    local parts = { who, context.routeKey or "", context.path, key }
    return gate.hex.encode(gate.crypto.sha256(table.concat(parts, "\0")))
end

local function fingerprint()
    return gate.hex.encode(gate.crypto.sha256((request.raw_query() or "") .. "\0" .. (request.body() or "")))
end

return {
    request = function(config)
        local key = key_of(config)
        if not key then
            if config.required and table.find(config.methods, context.httpMethod) then
                response.exit(400, { error = "bad_request", message = "The header " .. config.header .. " is needed." })
            end
            return
        end
        if key == "" or #key > LENGTH_MAX then
            response.exit(400, { error = "bad_request", message = "The idempotency key is empty or too long." })
            return
        end
        local place, print = store_key(key), fingerprint()
        if gate.store.add(place, json.encode({ print = print, id = context.requestId }), config.lock_seconds) then
            return
        end
        local kept = gate.store.get(place)
        kept = kept and json.decode(kept)
        if not kept then
            return
        elseif kept.print ~= print then
            response.exit(422, { error = "idempotency_key_reused", message = "The key was used for another request." })
        elseif not kept.status then
            response.exit(409, { error = "request_in_progress", message = "A request with this key is under way." }, { ["retry-after"] = 1 })
        else
            local headers = { ["idempotency-replayed"] = "true" }
            headers["content-type"] = kept.type
            response.exit(kept.status, gate.base64.decode(kept.body), headers)
        end
    end,

    response = function(config)
        local key = key_of(config)
        if not key or key == "" or #key > LENGTH_MAX then
            return
        end
        local place = store_key(key)
        local kept = gate.store.get(place)
        kept = kept and json.decode(kept)
        if not kept or kept.id ~= context.requestId or kept.status then
            return
        end
        local body = response.body()
        if response.status() >= 500 or not body or #body > BODY_BYTES_MAX then
            -- What failed may be tried again, and what is too large is not kept.
            gate.store.delete(place)
            return
        end
        kept.status, kept.type, kept.body = response.status(), response.header("content-type"), gate.base64.encode(body)
        gate.store.set(place, json.encode(kept), config.keep_seconds)
    end,
}
