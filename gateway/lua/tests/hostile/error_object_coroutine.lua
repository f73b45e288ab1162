-- expect: Raised
error(coroutine.create(function() end))
