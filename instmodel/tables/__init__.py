"""Tables in, input matrices out: how named or numbered columns become a model's input."""
