-- expect: Raised
error("x", 2147483647)
