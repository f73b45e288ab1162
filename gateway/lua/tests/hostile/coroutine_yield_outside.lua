-- expect: Raised
coroutine.yield(1)
