"""What tests of events share."""

from __future__ import annotations

import pytest

from instmodel.events import scoring


@pytest.fixture
def small_blocks(monkeypatch):
    """Let a block hold four rows."""
    monkeypatch.setattr(scoring, "_LEAST_ROWS", 4)
    monkeypatch.setattr(scoring, "_MOST_ROWS", 4)
