-- Picks three fields of the client's JSON.
return {
    reference = input.path("$.order"),
    customer = input.path("$.buyer.name"),
    first = input.path("$.items[0].article"),
}
