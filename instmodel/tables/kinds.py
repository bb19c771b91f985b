"""The formats of files by the endings of their names, compressed or not.

A *kind* is a format with how it is compressed: ``parquet``, ``csv``, ``csv.gz``.
"""

from __future__ import annotations

import os
from pathlib import PurePosixPath

from instmodel.tables.compression import COMPRESSIONS

SUFFIXES = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".csv": "csv",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}
FORMATS = ("parquet", "csv", "arrow", "jsonl")
TEXT = ("csv", "jsonl")
KINDS = (*FORMATS, *(f"{kind}.{ending}" for kind in TEXT for ending in COMPRESSIONS))


def parts_of(kind: str) -> tuple[str, str | None]:
    """Return the format and the compression of a kind."""
    name, _, compression = kind.partition(".")
    return name, compression or None


def kind_of(path: str | os.PathLike[str]) -> str | None:
    """Return the kind that the name of a file asks for; None: it asks for none."""
    name = PurePosixPath(os.fspath(path).replace("\\", "/"))
    compression = compression_of(name)
    if compression is None:
        return SUFFIXES.get(name.suffix.lower())
    kind = SUFFIXES.get(PurePosixPath(name.stem).suffix.lower())
    return f"{kind}.{compression}" if kind in TEXT else None


def format_of(path: str | os.PathLike[str]) -> str | None:
    """Return the format that the name of a file asks for, compressed or not."""
    kind = kind_of(path)
    return None if kind is None else parts_of(kind)[0]


def compression_of(path: str | os.PathLike[str]) -> str | None:
    """Return how the name of a file says it is compressed."""
    ending = PurePosixPath(os.fspath(path)).suffix.lower().removeprefix(".")
    return ending if ending in COMPRESSIONS else None


def without_ending(name: str) -> str:
    """Return the path of a file without what its name says about its kind."""
    path = PurePosixPath(name)
    if compression_of(name) is not None:
        path = path.with_suffix("")
    return str(path.with_suffix("") if path.suffix.lower() in SUFFIXES else path)
