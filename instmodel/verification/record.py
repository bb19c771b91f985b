"""A record of a verification or a comparison, for those who sign it and those who check it later.

Design
------
A. A record is a JSON file: what was run, on which files (by SHA-256), with what, and what came out.
   It is written whole or not at all.
B. `sha256` in it is of its canonical bytes (`canonical_bytes`): those of the record without
   `sha256` and `signatures`. So names and dates can be filled in, and whoever signs the bytes with
   a tool of their own signs everything else.
C. Paths are relative to the folder of the record, with slashes, unless they were given as absolute:
   a folder with models, data and record can be moved as a whole.
D. A file that changes between the start of a run and its digest is an error: nobody could say what
   was read.
"""

from __future__ import annotations

import hashlib
import json
import math
import platform
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

import numpy as np

from instmodel.compiled.runtime import runtime_info
from instmodel.errors import InputError, without_secrets
from instmodel.model import InstructionModel
from instmodel.stores import AnyPath, Location, location
from instmodel.verification.canonical import EXACT, canonical
from instmodel.verification.limits import Limits, Verdict
from instmodel.verification.recorded import recorded, recorded_in
from instmodel.version import __version__

FORMAT = "instmodel-record-1"
# What is not signed: the digest of the rest, and what people fill in.
_OUTSIDE = ("sha256", "signatures")
# Packages whose versions matter to the figures, if they are in use.
_PACKAGES = ("scipy", "sklearn", "pyarrow", "onnxruntime", "wgpu")


class Finding(Protocol):
    """A `Verification` or a `Comparison`."""

    @property
    def options(self) -> dict[str, Any]:
        """The arguments that it was made with."""

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain data."""

    def judge(self, limits: Limits | None) -> Verdict:
        """Return whether it is within limits."""


class Recorder:
    """Notes the files of a run before it starts, and records what came out.

    Parameters
    ----------
    files : mapping of str to path-like or None
        What is read, by its role: ``model``, ``against``, ``old``, ``new``, ``data``; folders, too.
        None where a role is played by no file.
    command : sequence of str, optional
        The command line.

    Raises
    ------
    OSError
        A file is not there.

    Examples
    --------
    >>> recorder = Recorder({"old": "old.json", "new": "new.json", "data": "rows.csv"})
    ...                                                               # doctest: +SKIP
    >>> found = im.compare("old.json", "new.json", "rows.csv")        # doctest: +SKIP
    >>> recorder.write("record.json", found, {"max": {"psi": 0.1}})   # doctest: +SKIP
    """

    def __init__(
        self, files: Mapping[str, AnyPath | None], command: Sequence[str] | None = None
    ) -> None:
        self._paths = {role: path for role, path in files.items() if path is not None}
        self._files = {role: recorded(path) for role, path in self._paths.items()}
        self._command = list(command) if command is not None else None
        self._started = datetime.now(UTC)
        self._stamps = {role: file.stamps() for role, file in self._files.items()}

    def record(
        self,
        found: Finding,
        limits: Limits | None = None,
        *,
        models: Mapping[str, InstructionModel] | None = None,
        options: Mapping[str, Any] | None = None,
        signers: Sequence[str] = (),
        folder: AnyPath = ".",
    ) -> dict[str, Any]:
        """Return the record of what was found.

        Parameters
        ----------
        found : Verification or Comparison
        limits : optional
            See its `judge`.
        models : mapping of str to InstructionModel, optional
            By role; the record holds the digests of their documents, which do not depend on how
            a file is written.
        options : mapping, optional
            How it was run; by default the arguments that `found` was made with.
        signers : sequence of str
            Who is to sign; with nobody, there is room for one name.
        folder : path-like
            Where the record will lie.

        Raises
        ------
        InputError
            ``changed_file``: a file is not what it was when the run started; what `judge` raises.
        """
        verdict = found.judge(limits)
        figures = found.to_dict()
        asked = figures.pop("options")  # once is enough
        record: dict[str, Any] = {
            "format": FORMAT,
            "kind": type(found).__name__.lower(),
            "time": self._started.isoformat(timespec="seconds").replace("+00:00", "Z"),
            "command": self._command,
            "versions": _versions(),
            "files": {role: self._digests(role, folder) for role in self._files},
            "models": {role: model.digest for role, model in (models or {}).items()},
            "options": asked if options is None else dict(options),
            "limits": verdict.to_list(),
            "holds": verdict.holds,
            "figures": figures,
        }
        record = _plain(record)
        record["sha256"] = digest(record)
        record["signatures"] = [
            {"name": _plain(name), "date": "", "signature": ""} for name in signers or [""]
        ]
        return record

    def write(
        self,
        path: AnyPath,
        found: Finding,
        limits: Limits | None = None,
        *,
        models: Mapping[str, InstructionModel] | None = None,
        options: Mapping[str, Any] | None = None,
        signers: Sequence[str] = (),
    ) -> dict[str, Any]:
        """Write the record of what was found, see `record`; return it."""
        folder = location(path).parent
        record = self.record(
            found, limits, models=models, options=options, signers=signers, folder=folder
        )
        write_record(path, record)
        return record

    def _digests(self, role: str, folder: AnyPath) -> dict[str, Any]:
        file = self._files[role]
        found = file.digests()
        if file.stamps() != self._stamps[role]:
            raise InputError(
                "changed_file",
                "the file changed while it was read",
                field=role,
                file=str(location(self._paths[role])),
            )
        return {"path": file.portable(folder), **found}


def write_record(path: AnyPath, record: Mapping[str, Any]) -> None:
    """Write a record, whole or not at all."""
    with location(path).replacing() as file:
        file.write((json.dumps(record, indent=2, ensure_ascii=False) + "\n").encode())


def read_record(path: AnyPath) -> dict[str, Any]:
    """Read a record.

    Raises
    ------
    InputError
        ``invalid_record``: it is none.
    OSError
        The file cannot be read.
    """
    try:
        text = location(path).read_bytes().decode()
        record = json.loads(text, object_pairs_hook=_once, parse_int=_whole)
        if not isinstance(record, dict) or record.get("format") != FORMAT:
            raise ValueError(f"no field 'format' with {FORMAT!r}")
        if not isinstance(record.get("files"), dict):
            raise ValueError("no field 'files'")
        canonical(record)
    except (ValueError, RecursionError) as error:
        file = str(location(path))
        raise InputError("invalid_record", f"not a record: {error}", file=file) from None
    return record


def canonical_bytes(record: Mapping[str, Any]) -> bytes:
    """Return what a signature is of: RFC 8785 of all but `sha256` and `signatures`."""
    return canonical({name: item for name, item in record.items() if name not in _OUTSIDE})


def digest(record: Mapping[str, Any]) -> str:
    """Return the SHA-256 of the canonical bytes, in hexadecimal."""
    return hashlib.sha256(canonical_bytes(record)).hexdigest()


def check_record(path: AnyPath) -> list[str]:
    """Return what is no longer as a record says, in a sentence each; nothing if all is.

    Raises
    ------
    InputError
        ``invalid_record``.
    OSError
        The record cannot be read.
    """
    record = read_record(path)
    changes = []
    if record.get("sha256") != digest(record):
        changes.append("the record: its content is not what was written")
    folder = location(path).parent
    for role, known in record["files"].items():
        changes += [f"{role}: {change}" for change in _changes(known, folder)]
    return changes


def _changes(known: Any, folder: Location) -> list[str]:
    if not isinstance(known, dict) or not isinstance(known.get("path"), str):
        return ["the record does not say which file"]
    try:
        now = recorded_in(folder, known["path"]).digests()
    except OSError as error:
        return [f"{known['path']}: {error.strerror or error}"]
    except ValueError as error:  # a character that no path has
        return [f"{known['path']!r}: {error}"]
    if now == {name: item for name, item in known.items() if name != "path"}:
        return []
    before, after = known.get("files"), now.get("files")
    if not isinstance(before, dict) or not isinstance(after, dict):
        return [f"{known['path']} has changed"]
    names = sorted({*before, *after})
    return [
        f"{known['path']}/{name} "
        + ("is new" if name not in before else "is gone" if name not in after else "has changed")
        for name in names
        if before.get(name) != after.get(name)
    ]


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse an object with the same key twice: readers would differ in what it says."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("the same key twice in one object")
    return found


def _whole(text: str) -> int | float:
    """Refuse whole numbers that another reader would round; what it would write is a double."""
    if len(text) < 400:
        number, close = int(text), float(text)
        if abs(number) <= EXACT:
            return number
        if canonical(close).decode() == text:
            return close
    raise ValueError(f"not a number that every double holds: {text[:40]}")


def _versions() -> dict[str, Any]:
    loaded = {name: getattr(sys.modules.get(name), "__version__", None) for name in _PACKAGES}
    return {
        "instmodel": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        **{name: version for name, version in loaded.items() if version is not None},
        "platform": platform.platform(),
        "machine": platform.machine(),
        "instruction_set": runtime_info()["isa"],
    }


def _plain(value: Any) -> Any:
    """Return data that has canonical bytes: what no JSON number holds becomes text.

    What is secret in URLs is left out: a record is handed around.
    """
    if isinstance(value, Mapping):
        return {_plain(str(name)): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, str):
        return without_secrets(value.encode("utf-8", "backslashreplace").decode())
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) <= EXACT else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return str(value)
