"""Where results may be written: never over what is read, and never twice to one place."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from pathlib import Path

from instmodel.errors import InputError

AnyPath = str | os.PathLike[str]


def check(written: Mapping[str, AnyPath | None], read: Mapping[str, AnyPath | None]) -> None:
    """Refuse places that would destroy something, before anything is done.

    Parameters
    ----------
    written, read : mapping of what it is to its path
        None where there is none.

    Raises
    ------
    InputError
        ``invalid_table``: a place is also something else, or lies in a folder that is read, so that
        the next run would read it.
    FileNotFoundError
        The folder of a place is not there.
    """
    taken = {what: path for what, path in read.items() if path is not None}
    inputs = set(taken)
    for what, path in written.items():
        if path is None:
            continue
        place = Path(os.path.realpath(path))
        for other, where in taken.items():
            if place == Path(os.path.realpath(where)) or _same_file(path, where):
                raise InputError("invalid_table", f"the {what} is also the {other}", file=path)
            if other in inputs and Path(os.path.realpath(where)) in place.parents:
                raise InputError("invalid_table", f"the {what} would lie in the {other}", file=path)
        if not place.parent.is_dir():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), os.fspath(path))
        taken[what] = path


def _same_file(one: AnyPath, other: AnyPath) -> bool:
    return os.path.exists(one) and os.path.exists(other) and os.path.samefile(one, other)
