"""What an output folder holds: its parts, where each came from, and what scored it.

The manifest of ``NAME`` is its hidden neighbour ``.NAME.instmodel.json``: engines read whatever
file lies in a folder, some of them hidden ones, too.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import PurePath
from typing import Any

from instmodel.stores import Location
from instmodel.tables.kinds import KINDS

_VERSION = 2


@dataclass(frozen=True)
class Part:
    """A finished file of an output folder.

    Attributes
    ----------
    part : str
        Its path below the folder.
    source : dict
        The name of the file it was made of, and that one's stamp.
    stamp : dict
        Its own, when it was written.
    rows, bad_rows : int
        Of the source.
    model : str
        The digest of the model that scored it.
    model_version : str or None
    scored_at : str
        The time of the run, UTC.
    columns : dict of str to str
        The types of its columns by name, if its format has types.
    """

    part: str
    source: dict[str, Any]
    stamp: dict[str, Any]
    rows: int
    bad_rows: int
    model: str
    model_version: str | None
    scored_at: str
    columns: dict[str, str] = field(default_factory=dict)

    @classmethod
    def from_json(cls, found: Any) -> Part:
        """Return a part.

        Raises
        ------
        TypeError
            It is none, or its file lies elsewhere.
        """
        part = cls(**found)
        counts = (part.rows, part.bad_rows, part.stamp["size"])
        if not (
            stays_below(part.part)
            and isinstance(part.source, dict)
            and isinstance(part.columns, dict)
            and all(isinstance(count, int) and count >= 0 for count in counts)
            and isinstance(part.model, str)
            and isinstance(part.model_version, str | None)
        ):
            raise TypeError("no part of a folder")
        return part


@dataclass(frozen=True)
class Manifest:
    """What a finished output folder holds.

    Attributes
    ----------
    job : dict
        The options that shape the rows.
    parts : list of Part
        In the order of their sources.
    table : mapping
        Of an input that has a log: its format, and the version that was read last.
    """

    job: dict[str, Any]
    parts: Sequence[Part]
    table: Mapping[str, Any] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Rows of all sources."""
        return sum(part.rows for part in self.parts)

    @property
    def bad_rows(self) -> int:
        """Rows of all sources that could not be scored."""
        return sum(part.bad_rows for part in self.parts)

    def as_json(self) -> dict[str, Any]:
        """Return what the file holds."""
        return {
            "version": _VERSION,
            "job": self.job,
            "rows": self.rows,
            "bad_rows": self.bad_rows,
            "table": dict(self.table),
            "parts": [asdict(part) for part in self.parts],
        }

    @classmethod
    def from_json(cls, found: Any) -> Manifest | None:
        """Return a manifest; None for what is none of this version."""
        with contextlib.suppress(KeyError, TypeError, ValueError):
            if found["version"] == _VERSION and found["job"]["format"] in KINDS:
                parts = [Part.from_json(part) for part in found["parts"]]
                return cls(dict(found["job"]), parts, dict(found.get("table", {})))
        return None

    @classmethod
    def read(cls, output: Location) -> Manifest | None:
        """Return the manifest of a folder, if it has one."""
        return cls.from_json(read_json(manifest_of(output)))

    def write(self, output: Location) -> None:
        """Write the manifest of a folder."""
        write_json(manifest_of(output), self.as_json())


def manifest_of(output: Location) -> Location:
    """Return where the manifest of a folder is."""
    return output.parent / f".{output.name}.instmodel.json"


def stays_below(name: Any) -> bool:
    """Tell whether a name that somebody wrote is a path of a file below whatever folder."""
    if not isinstance(name, str) or "\0" in name:
        return False
    path = PurePath(name)
    return bool(path.name) and not path.anchor and ".." not in path.parts


def read_json(place: Location) -> Any:
    """Return what a file of JSON holds; None if it is not there or holds none."""
    with contextlib.suppress(FileNotFoundError, ValueError, RecursionError):
        return json.loads(place.read_bytes())
    return None


def write_json(place: Location, content: Any) -> None:
    """Write a file of JSON, whole or not at all."""
    with place.replacing() as file:
        file.write(json.dumps(content, indent=1).encode() + b"\n")


def stamps(folder: Location) -> dict[str, dict[str, Any]]:
    """Return the stamps of all files below a folder, if it is there, by their paths in it."""
    files = folder.files() if folder.exists() else []
    return {file.relative_to(folder): file.stamp() for file in files}
