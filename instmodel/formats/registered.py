"""Models that MLflow holds: by URI (``models:/name@alias``), or as a folder that it wrote.

Only the model file is read. MLflow's own loader may run code that lies beside a model; this does
not.
"""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

from instmodel.base.extras import require
from instmodel.errors import DocumentError

# What a folder of MLflow says about itself, and what its registry adds when a model is fetched.
_DESCRIPTION, _REGISTRATION = "MLmodel", "registered_model_meta"

FLAVOUR = "instmodel"
_SCHEMES = ("models", "runs", "mlflow-artifacts")


@dataclass(frozen=True)
class Origin:
    """Which of MLflow's models a model is.

    Attributes
    ----------
    uri : str or None
        What leads to the same model for ever: ``models:/risk/3``, also if it was asked for as
        ``models:/risk@champion``; where no registry knows it, what was asked for. None for a folder
        that did not come from a registry.
    name, version : str or None
        In the registry.
    run_id : str or None
        The run that logged it.
    digest : str or None
        Of the document, as it was when it was logged.
    """

    uri: str | None
    name: str | None = None
    version: str | None = None
    run_id: str | None = None
    digest: str | None = None


def is_uri(path: str) -> bool:
    """Whether it is a URI of MLflow."""
    return urlsplit(path).scheme in _SCHEMES


def is_registered(path: str) -> bool:
    """Whether MLflow knows where the file of a model is: of a URI, or in a folder that it wrote."""
    return is_uri(path) or os.path.isfile(os.path.join(path, _DESCRIPTION))


@contextmanager
def open_registered(uri: str) -> Iterator[tuple[BinaryIO, Origin]]:
    """Fetch a model from MLflow, and open its file.

    Raises
    ------
    OSError
        MLflow cannot give it; the message is MLflow's.
    DocumentError
        ``invalid_document``: it is a model, but none of ours.
    InstModelError
        ``missing_package``.
    """
    with ExitStack() as opened:
        with tempfile.TemporaryDirectory(prefix="instmodel-") as folder:
            fetched = Path(uri if os.path.isdir(uri) else _fetched(uri, folder))
            path, origin = (fetched, Origin(uri)) if fetched.is_file() else _described(fetched, uri)
            file = opened.enter_context(open(path, "rb"))
        yield file, origin  # an open file outlives its folder


def _fetched(uri: str, folder: str) -> str:
    mlflow = require("mlflow", "mlflow")
    refused = require("mlflow.exceptions", "mlflow").MlflowException
    try:
        return str(mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=folder))
    except refused as error:
        missing = error.error_code == "RESOURCE_DOES_NOT_EXIST"
        raise OSError(errno.ENOENT if missing else errno.EIO, error.message, uri) from error


def _described(fetched: Path, uri: str) -> tuple[Path, Origin]:
    """Return the file of a model in a folder of MLflow, and what the folder says of it."""
    description = _read(fetched / _DESCRIPTION, uri)
    known = _read(fetched / _REGISTRATION, uri)
    given = description.get("flavors")
    flavours = given if isinstance(given, dict) else {}
    flavour = flavours.get(FLAVOUR)
    if not isinstance(flavour, dict):
        raise DocumentError(
            "invalid_document",
            "MLflow has no such model, or in other flavours alone",
            file=uri,
            expected=FLAVOUR,
            actual=", ".join(sorted(map(str, flavours))) or "none",
        )
    data = _text(flavour.get("data"))
    if data is None or not (fetched / data).resolve().is_relative_to(fetched.resolve()):
        raise DocumentError(
            "invalid_document",
            "the file of the model lies elsewhere",
            file=uri,
            field=f"flavors.{FLAVOUR}.data",
            expected="a path inside of the folder",
            actual=repr(data),
        )
    name, version = _text(known.get("model_name")), _text(known.get("model_version"))
    lasting = None if os.path.isdir(uri) else uri
    return fetched / data, Origin(
        lasting if name is None else f"models:/{name}/{version}",
        name,
        version,
        _text(description.get("run_id")),
        _text(flavour.get("digest")),
    )


def _text(value: Any) -> str | None:
    # Of a list that holds itself a thousand times over, the text would have no end.
    return str(value) if isinstance(value, str | int) else None


def _read(path: Path, uri: str) -> dict[str, Any]:
    """Read a file that MLflow wrote; nothing where none is."""
    # Not by MLflow's own reader, which needs pandas.
    yaml = require("yaml", "mlflow")
    if not path.is_file():
        return {}
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    # PyYAML is no more careful: of a number, a date or a truth that is none, of depth without end.
    except (yaml.YAMLError, ValueError, LookupError, AttributeError, RecursionError) as error:
        raise DocumentError(
            "invalid_document", f"{path.name} is no YAML: {error}", file=uri
        ) from error
    return found if isinstance(found, dict) else {}
