"""Optional packages: imported where they are used; their absence says what to install."""

from __future__ import annotations

import importlib
from typing import Any

from instmodel.errors import InstModelError


def require(module: str, extra: str) -> Any:
    """Import a package that the core does not need.

    Parameters
    ----------
    module : str
        What to import.
    extra : str
        The extra of this distribution that installs it.

    Raises
    ------
    InstModelError
        ``missing_package``.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise InstModelError(
            "missing_package",
            f"this needs {package}: pip install 'instmodel-inference[{extra}]'",
            actual=error,
        ) from error
