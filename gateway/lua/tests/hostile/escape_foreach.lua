-- expect: Raised
table.foreach({}, print)
