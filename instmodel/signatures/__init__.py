"""What a model expects of its inputs, made from data, and what is counted against it."""
