-- expect: Raised
return table.concat({}, "", 1, 2147483647)
