-- expect: Raised
return load("return 1")()
