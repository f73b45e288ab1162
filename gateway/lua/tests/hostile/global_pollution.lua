-- expect: Raised
string.len = function() return 7 end
