"""What a model is, and what a comparison found: facts, pictures and pages.

Nothing in them needs a network.
"""
