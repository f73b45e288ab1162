-- expect: Raised
return require("os")
