-- expect: Raised
return table.move({}, 0/0, -2, 1)
