-- expect: Raised
return debug.info(1, "f")
