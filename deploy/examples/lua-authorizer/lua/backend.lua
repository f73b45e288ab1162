return function(event)
  return { statusCode = 200, body = "orders of " .. event.headers["x-customer"] .. "\n" }
end
