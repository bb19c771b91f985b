"""How a run was asked for, as plain data beside what it found."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

# They decide nothing of what is found.
_NOT_OPTIONS = {"threads", "batch_rows", "progress"}
# Longer lists are data, and not how somebody asked for them.
_MOST = 1000


def options_of(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a run; of tables, models and functions in memory only the type."""
    return {name: _told(value) for name, value in arguments.items() if name not in _NOT_OPTIONS}


def _told(value: Any) -> Any:
    value = value.item() if isinstance(value, np.generic) else value
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, os.PathLike):
        return str(os.fspath(value))
    if isinstance(value, Mapping) and _is_short(value.values()):
        return {str(name): _told(item) for name, item in value.items()}
    if isinstance(value, list | tuple) and _is_short(value):
        return [_told(item) for item in value]
    return f"<{type(value).__name__} in memory>"


def _is_short(items: Any) -> bool:
    plain = (type(None), bool, int, float, str, np.generic)
    return len(items) <= _MOST and all(isinstance(item, plain) for item in items)
