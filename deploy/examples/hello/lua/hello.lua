-- A function in the shape of AWS Lambda's: an event in, a result out (payload format 2.0).
return function(event, context)
  local query = event.queryStringParameters or {}
  local name = query.name or "Lua"
  return {
    statusCode = 200,
    headers = { ["content-type"] = "text/plain; charset=utf-8" },
    body = "Hello from " .. name .. "!\n",
  }
end
