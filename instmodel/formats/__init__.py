"""File formats of a model document."""
