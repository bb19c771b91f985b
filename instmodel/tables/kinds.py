"""The formats of files by the endings of their names, compressed or not.

A *kind* is a format with how it is compressed: ``parquet``, ``csv``, ``csv.gz``.
"""

from __future__ import annotations

import os
import re
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

# What files begin with that no text does: not only its first letters, which a column may have.
_BEGINNINGS = {
    "gz": rb"\x1f\x8b\x08",
    "zst": rb"\x28\xb5\x2f\xfd",
    "bz2": rb"BZh[1-9](1AY&SY|\x17rE8P\x90)",
    "parquet": rb"PAR1[^ -~\s]",
    "arrow": rb"ARROW1\0\0|\xff\xff\xff\xff",
}


def kind_seen(head: bytes, wanted: str) -> str | None:
    """Return the kind that the first bytes of a file show; None: they show none.

    Of what is compressed, they do not show the format: if `wanted`, a kind, is of text, that.
    """
    for found, pattern in _BEGINNINGS.items():
        if re.match(pattern, head):
            form = parts_of(wanted)[0]
            packed = f"{form if form in TEXT else 'csv'}.{found}"
            return packed if found in COMPRESSIONS else found
    return None


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
