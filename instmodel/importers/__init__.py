"""Bring models of other libraries in; each importer needs the extra of its name.

Importing this package imports none of those libraries: a function's module is loaded when the
function is first asked for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from instmodel.importers.keras import from_keras
    from instmodel.importers.onnx import from_onnx
    from instmodel.importers.sklearn import from_sklearn
    from instmodel.importers.torch import from_torch

__all__ = ["from_keras", "from_onnx", "from_sklearn", "from_torch"]

_MODULES = {
    "from_keras": "keras",
    "from_onnx": "onnx",
    "from_sklearn": "sklearn",
    "from_torch": "torch",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
