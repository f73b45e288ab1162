-- The upstream's answer in the shape that clients know.
return {
  id = input.path("$.purchase.number"),
  total = string.format("%.2f", input.path("$.purchase.cents") / 100),
}
