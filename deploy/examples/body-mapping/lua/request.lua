-- Runs for every request and returns the new body: a table becomes JSON.
local quantity = tonumber(input.path("$.qty"))
return {
  sku = input.path("$.item.sku"),
  quantity = quantity,
  placed_by = context.identity.sourceIp,
}
