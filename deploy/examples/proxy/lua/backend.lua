-- Tells what it was asked for.
return function(event)
  local http = event.requestContext.http
  local query = event.rawQueryString ~= "" and "?" .. event.rawQueryString or ""
  return {
    statusCode = 200,
    headers = { ["content-type"] = "text/plain" },
    body = http.method .. " " .. event.rawPath .. query .. "\n" .. (event.body or ""),
  }
end
