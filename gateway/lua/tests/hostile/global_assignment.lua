-- expect: Raised
anything = 1
