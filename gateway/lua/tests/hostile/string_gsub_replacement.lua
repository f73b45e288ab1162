-- expect: Raised
return string.gsub("x", "()", string.rep("%1", 4000000))
