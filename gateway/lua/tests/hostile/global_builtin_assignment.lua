-- expect: Raised
print = nil
