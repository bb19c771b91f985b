"""Pictures and pages of models and comparisons; nothing in them needs a network."""
