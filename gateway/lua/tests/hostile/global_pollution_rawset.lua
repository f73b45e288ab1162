-- expect: Raised
rawset(string, "len", 7)
