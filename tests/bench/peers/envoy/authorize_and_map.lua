-- An API key, then the token, then three fields of the client's JSON.
local cjson = require "cjson"
local keys = { ["@API_KEY@"] = "bench" }

function envoy_on_request(handle)
    local key = handle:headers():get("x-api-key")
    if not key or not keys[key] then
        handle:respond({ [":status"] = "403" }, "")
        return
    end
    authorize(handle)
    local body = handle:body()
    local order = cjson.decode(body:getBytes(0, body:length()))
    local length = body:setBytes(cjson.encode({
        reference = order.order,
        customer = order.buyer.name,
        first = order.items[1].article,
    }))
    handle:headers():replace("content-length", length)
end
