"""What the tests share: documents, strategies, bounds, sources, and devices."""
