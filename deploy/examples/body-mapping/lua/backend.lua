return function(event)
  local order = json.decode(event.body)
  if order.quantity == nil or order.quantity < 1 then
    return { statusCode = 400, body = "quantity?" }
  end
  return { purchase = { number = "P-1", cents = order.quantity * 1250 } }
end
