-- expect: Raised
return getfenv(1)
