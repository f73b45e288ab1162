-- expect: Ok
return tostring(#string.rep("", 2147483647))
