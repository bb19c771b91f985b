"""Import a model file by the ending of its name."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

from instmodel.base import values
from instmodel.base.extras import require as require_package
from instmodel.document.schema import InstructionModelInfo
from instmodel.errors import DocumentError, InstModelError


def import_file(
    path: str | os.PathLike[str], *, trust_pickle: bool = False
) -> InstructionModelInfo | None:
    """Import a model file of another library; None for an ending that no importer knows.

    Parameters
    ----------
    path : path-like
        ``.onnx``, ``.keras``, ``.pt2``, or a pickled scikit-learn estimator: ``.joblib``, ``.pkl``,
        ``.pickle``.
    trust_pickle : bool
        Loading a pickle runs whatever code is in it, and a ``.pt2`` file may hold pickles. Without
        this, both are refused.

    Raises
    ------
    InstModelError
        ``untrusted_pickle``, and what the importer raises.
    OSError
        The file cannot be read.
    """
    ending = Path(path).suffix.lower()
    try:
        if ending in (*_PICKLES, ".pt2"):
            if not values.boolean(trust_pickle, "trust_pickle"):
                raise DocumentError(
                    "untrusted_pickle",
                    "loading this file runs whatever code is pickled in it: pass --trust-pickle "
                    "(trust_pickle=True) if you know who made it",
                )
            if ending == ".pt2":
                from instmodel.importers.torch import from_torch

                return from_torch(_trusted(require_package("torch.export", "torch").load, path))
            from instmodel.importers.sklearn import from_sklearn

            return from_sklearn(_trusted(_PICKLES[ending], path))
        if ending == ".onnx":
            from instmodel.importers.onnx import from_onnx

            return from_onnx(path)
        if ending == ".keras":
            from instmodel.importers.keras import load_keras

            return load_keras(path)
    except InstModelError as error:
        raise error.in_file(path) from None
    return None


def _trusted(load: Callable[[Any], Any], path: Any) -> Any:
    try:
        return load(path)
    except (InstModelError, OSError):
        raise
    except Exception as error:  # whatever the code in the file raises
        raise DocumentError("invalid_document", f"does not load: {error}") from error


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
