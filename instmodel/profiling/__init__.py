"""Where the time of a model goes, instruction by instruction."""

from instmodel.profiling.measure import Profile, Step, profile

__all__ = ["Profile", "Step", "profile"]
