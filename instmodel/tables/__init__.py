"""Tables in, input matrices out: in memory or in files, by the names of columns or their places."""
