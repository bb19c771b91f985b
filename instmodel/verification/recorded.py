"""What a record says of the files that were read, so that others can tell whether they changed."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from pathlib import PurePath
from typing import Any, BinaryIO, Protocol

from instmodel.formats import registered
from instmodel.stores import AnyPath, Location, location

# Bytes that are digested together.
_BLOCK = 1 << 20


class Recorded(Protocol):
    """A file, a folder, or a model that MLflow keeps."""

    def digests(self) -> dict[str, Any]:
        """Return size and SHA-256 of a file, or those of each file below a folder."""

    def stamps(self) -> Any:
        """Return what changes when somebody writes to it."""

    def portable(self, folder: AnyPath) -> str:
        """Return its path as a record in a folder has it."""


def recorded(path: AnyPath) -> Recorded:
    """Return what a path or a URL names."""
    if isinstance(path, str) and registered.is_uri(path):
        return _Registered(path)
    return _Files(location(path))


def recorded_in(folder: Location, path: str) -> Recorded:
    """Return what a path in a record names, that lies in a folder."""
    if registered.is_uri(path):
        return _Registered(path)
    place = location(path)
    if place.local is not None and not place.local.is_absolute():
        place = folder / path
    return _Files(place)


class _Registered:
    """A model that MLflow keeps: its file. An alias may lead to another one by and by."""

    def __init__(self, uri: str) -> None:
        self._uri = uri

    def digests(self) -> dict[str, Any]:
        with registered.open_registered(self._uri) as (file, _):
            return _digest_of(file)

    def stamps(self) -> dict[str, Any]:
        return self.digests()

    def portable(self, folder: AnyPath) -> str:
        return self._uri


class _Files:
    def __init__(self, place: Location) -> None:
        self._place = place

    def digests(self) -> dict[str, Any]:
        place = self._place
        if not place.is_folder():
            return self._digest_of(place)
        return {"files": {file.relative_to(place): self._digest_of(file) for file in place.files()}}

    def stamps(self) -> list[tuple[str, dict[str, Any]]]:
        place = self._place
        files = place.files() if place.is_folder() else [place]
        return [(str(file), _regular(file).stamp()) for file in files]

    def portable(self, folder: AnyPath) -> str:
        place, beside = self._place, location(folder)
        given = place.local
        if given is None:
            return str(place)
        if beside.local is None:
            return given.absolute().as_posix()
        if given.is_absolute():
            return given.as_posix()
        # Both as they really lie: `..` out of a link leads elsewhere than its name says.
        real = os.path.join(os.path.realpath(given.parent), given.name)
        try:
            return PurePath(os.path.relpath(real, os.path.realpath(beside.local))).as_posix()
        except ValueError:  # on another drive
            return given.absolute().as_posix()

    def _digest_of(self, place: Location) -> dict[str, Any]:
        with _regular(place).open() as file:
            return _digest_of(file)


def _digest_of(file: BinaryIO) -> dict[str, Any]:
    digest, size = hashlib.sha256(), 0
    while data := file.read(_BLOCK):
        digest.update(data)
        size += len(data)
    return {"bytes": size, "sha256": digest.hexdigest()}


def _regular(place: Location) -> Location:
    """Refuse a pipe or a device: it cannot be read again."""
    if place.local is not None and not stat.S_ISREG(place.local.stat().st_mode):
        raise OSError(errno.EINVAL, "Not a regular file", str(place))
    return place
