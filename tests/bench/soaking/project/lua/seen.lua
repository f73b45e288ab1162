return { number = input.path("$.number"), name = input.path("$.name"), mapped = true }
