-- Three fields of the upstream's JSON.
local cjson = require "cjson"

function envoy_on_response(handle)
    if handle:headers():get(":status") ~= "200" then
        return
    end
    local body = handle:body()
    local document = cjson.decode(body:getBytes(0, body:length()))
    local length = body:setBytes(cjson.encode({ id = document.id, name = document.customer.name, total = document.total }))
    handle:headers():replace("content-length", length)
end
