"""Files anywhere: on this machine, or in a store that a URL names (``s3://``, ``gs://``, …).

Design
------
A. `location` makes a `Location` of a path or a URL. It looks like a `pathlib.Path`; nothing outside
   of this room asks which of the two it is, but those that let Arrow map a file of this machine
   into memory (`Location.local`).
B. Local files are those of `instmodel.base.atomic`. Stores are reached through fsspec, whose
   packages also retry what failed and find the credentials. Nothing of it is imported, and no
   connection made, before a URL is used.
C. A file is visible whole or not at all. In a store this is an upload that completes at its end,
   of a copy without a name on this machine.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from instmodel.base import values
from instmodel.errors import InputError
from instmodel.stores.local import LocalLocation
from instmodel.stores.location import Location, Lock

__all__ = ["AnyPath", "Location", "Lock", "location"]

AnyPath = str | bytes | os.PathLike[Any] | Location

# Two letters at least: C:// is a drive of Windows.
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
# What pathlib makes of a URL.
_MANGLED = re.compile(r"(s3a?|gs|gcs|az|abfss?|hf|memory|file|https?):/[^/]")


def location(path: AnyPath, field: str = "path") -> Location:
    """Return where a path or a URL points to.

    Parameters
    ----------
    path : path-like, bytes or Location
        ``file://`` is this machine, too.
    field : str
        The name of the argument, for errors.

    Raises
    ------
    InputError
        ``invalid_type``: no path; a URL that went through `pathlib`, which takes a slash away.
    """
    if isinstance(path, Location):
        return path
    text = values.path(path, field)
    scheme = _URL.match(text)
    if scheme is None:
        if isinstance(path, os.PathLike) and _MANGLED.match(text) and not os.path.exists(text):
            raise InputError(
                "invalid_type", "a Path has no room for a URL; give a str", field=field, actual=text
            )
        return LocalLocation(Path(text))
    if scheme[1].lower() == "file":
        parts = urlsplit(text)
        if parts.netloc not in ("", "localhost"):
            raise InputError(
                "invalid_type",
                "the file is on another machine",
                field=field,
                expected="file:///path",
                actual=text,
            )
        from urllib.request import url2pathname  # takes as long as all of ours

        return LocalLocation(Path(url2pathname(parts.path)))
    from instmodel.stores.remote import RemoteLocation

    return RemoteLocation(text)
