-- Decodes JSON, picks three fields, encodes them: the client's on its way up, the upstream's on its way down.
local cjson = require "cjson"

local mapping = {}

function mapping.request()
    ngx.req.read_body()
    local order = cjson.decode(ngx.req.get_body_data())
    ngx.req.set_body_data(cjson.encode({
        reference = order.order,
        customer = order.buyer.name,
        first = order.items[1].article,
    }))
end

-- The length changes; what is not the upstream's answer passes as it is.
function mapping.prepare()
    if ngx.status == 200 then
        ngx.header.content_length = nil
        ngx.ctx.pieces = {}
    end
end

function mapping.filter()
    local pieces = ngx.ctx.pieces
    if not pieces then
        return
    end
    pieces[#pieces + 1] = ngx.arg[1]
    if not ngx.arg[2] then
        ngx.arg[1] = nil
        return
    end
    local document = cjson.decode(table.concat(pieces))
    ngx.arg[1] = cjson.encode({ id = document.id, name = document.customer.name, total = document.total })
end

return mapping
