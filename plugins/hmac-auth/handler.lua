-- The head is signed, and with it the digest of the body; so the caller is known before a body is held in memory, and the
-- body is checked against the digest when it is there.

local function refuse(why)
    log.info("hmac-auth:", why)
    response.exit(401, { error = "unauthorized", message = "The request is not signed, or its signature is wrong." }, {
        ["www-authenticate"] = "HMAC-SHA256",
    })
end

local function signed_text(date, digest)
    return table.concat({ request.method(), request.path(), request.raw_query() or "", date, digest }, "\n")
end

return {
    authorize = function(config)
        local header = request.header("authorization") or ""
        local client, signature = string.match(header, "^HMAC%-SHA256 ([^,%s]+), ?(%x+)$")
        local reference = client and config.clients[client]
        if not reference then
            return refuse("no signature of a known client")
        end
        local date = request.header("date") or ""
        local seconds = gate.time.parse(request.header("x-date") or "")
        if not seconds or math.abs(gate.time.now() - seconds) > config.skew_seconds then
            return refuse("the date is missing or too far from now")
        end
        date = request.header("x-date")
        local text = signed_text(date, request.header("content-digest") or "")
        local want = gate.crypto.hmac("sha256", gate.secret(reference), text)
        local got = gate.hex.decode(signature)
        if not got or not gate.crypto.equal(want, got) then
            return refuse("the signature of `" .. client .. "` is wrong")
        end
        return { isAuthorized = true, principalId = client }
    end,

    request = function()
        local digest = request.client_header("content-digest") or ""
        local body = request.body() or ""
        if digest == "" and body == "" then
            return
        end
        local want = "sha-256=:" .. gate.base64.encode(gate.crypto.sha256(body)) .. ":"
        if digest ~= want then
            refuse("the body is not the one that was signed")
        end
    end,
}
