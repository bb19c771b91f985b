import os

import pytest
from hypothesis import HealthCheck, settings

# `ci`, the default, tries the same examples on every run; `HYPOTHESIS_PROFILE=dev` explores.
settings.register_profile(
    "ci",
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=40,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.register_profile("dev", parent=settings.get_profile("ci"), derandomize=False)
settings.register_profile("long", parent=settings.get_profile("dev"), max_examples=5000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def pytest_collection_modifyitems(config, items):
    """Skip what takes minutes unless it is asked for, visibly."""
    if "exhaustive" not in (config.option.markexpr or ""):
        for item in items:
            if item.get_closest_marker("exhaustive"):
                item.add_marker(pytest.mark.skip(reason="minutes; run with -m exhaustive"))
