-- Runs once when the API is loaded; what it returns runs for every request.
local customers = {
  ["demo-token-of-alice"] = "alice",
  ["demo-token-of-bob"] = "bob",
}

return function(request)
  local scheme, token = string.match(request.header("authorization") or "", "^(%a+) (%S+)$")
  local customer = scheme == "Bearer" and customers[token]
  if not customer then
    return false
  end
  return { isAuthorized = true, principalId = customer, context = { customer = customer } }
end
