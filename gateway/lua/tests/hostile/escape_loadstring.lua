-- expect: Raised
return loadstring("return 1")()
