"""Prove that a model is the same as another computation, or say how two models differ."""
