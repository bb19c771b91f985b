"""Import a model file by the ending of its name."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

from instmodel.errors import DocumentError, InstModelError
from instmodel.extras import require as require_package
from instmodel.schema import InstructionModelInfo


def import_file(
    path: str | os.PathLike[str], *, trust_pickle: bool = False
) -> InstructionModelInfo | None:
    """Import a model file of another library; None for an ending that no importer knows.

    Parameters
    ----------
    path : path-like
        ``.onnx``, or a pickled scikit-learn estimator: ``.joblib``, ``.pkl``, ``.pickle``.
    trust_pickle : bool
        Loading a pickle runs whatever code is in it. Without this, it is refused.

    Raises
    ------
    InstModelError
        ``untrusted_pickle``, and what the importer raises.
    OSError
        The file cannot be read.
    """
    ending = Path(path).suffix.lower()
    try:
        if ending in _PICKLES:
            if not trust_pickle:
                raise DocumentError(
                    "untrusted_pickle",
                    "loading a pickle runs whatever code is in it: pass --trust-pickle "
                    "(trust_pickle=True) if you know who made it",
                )
            from instmodel.importers.sklearn import from_sklearn

            return from_sklearn(_PICKLES[ending](path))
        if ending == ".onnx":
            from instmodel.importers.onnx import from_onnx

            return from_onnx(path)
    except InstModelError as error:
        raise error.in_file(path) from None
    return None


def _unpickle(path: Any) -> Any:
    with open(path, "rb") as file:
        return pickle.load(file)


def _load_joblib(path: Any) -> Any:
    return require_package("joblib", "sklearn").load(path)


_PICKLES: dict[str, Callable[[Any], Any]] = {
    ".joblib": _load_joblib,
    ".pkl": _unpickle,
    ".pickle": _unpickle,
}
