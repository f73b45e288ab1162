-- What the orders API stands in front of: it says what it was asked for, in its own words.
return function(event)
    local order = json.decode(event.body)
    return {
        statusCode = if #order.lines > 0 then 201 else 422,
        body = json.encode({
            ref = order.customer .. "-" .. order.lines[1].article,
            tenant = event.headers["x-tenant"] or json.null,
            cents = 250 * #order.lines,
            lines = order.lines,
        }),
    }
end
