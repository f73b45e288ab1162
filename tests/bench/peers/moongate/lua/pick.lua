-- Picks three fields of the upstream's JSON.
return {
    id = input.path("$.id"),
    name = input.path("$.customer.name"),
    total = input.path("$.total"),
}
