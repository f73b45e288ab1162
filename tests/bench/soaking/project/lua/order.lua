return { number = input.path("$.order"), name = input.path("$.buyer.name") }
