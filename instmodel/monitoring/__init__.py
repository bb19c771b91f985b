"""The inputs of a model against what it expects of them, now and over time."""
