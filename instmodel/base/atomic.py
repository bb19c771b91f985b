"""Output files that appear whole or not at all.

`replacing` hands out a temporary sibling of the target, and moves it over the target only when
everything was written and reached the disk. Whatever ends the program before that leaves the
target as it was; everything but SIGKILL and a power cut also removes the temporary file.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from instmodel.base import values

# Short, so that the temporary name fits wherever the target's fits; hidden, so that `*` skips it.
_TEMPORARY = ".instmodel-{}.tmp"


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a file that replaces `path` when the block ends without an error.

    A symbolic link stays, and what it points to is replaced. A file that is replaced keeps its
    permissions; a new one gets the process's default.

    Parameters
    ----------
    path : path-like
        The target. Its folder must exist.

    Yields
    ------
    BinaryIO
        The temporary file, open for reading and writing, seekable.

    Raises
    ------
    DocumentError
        ``invalid_type``: no path.
    OSError
        The target is a folder or a device, may not be written, or the disk is full. `filename` is
        the target.
    """
    target = Path(os.path.realpath(values.path(path, "path")))
    temporary = target.with_name(_TEMPORARY.format(secrets.token_hex(8)))
    try:
        mode = _replaceable_mode(target)
        # O_EXCL: never write into a file or through a link that is already there.
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        try:
            # Inside: a signal may arrive as soon as the file is there.
            descriptor = os.open(temporary, flags, 0o666)
            with os.fdopen(descriptor, "w+b") as file:
                if mode is not None:
                    os.chmod(temporary, mode)
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, target)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
        sync_folder(target.parent)
    except OSError as error:
        # A failed write carries no name, and nobody knows the temporary one.
        if error.errno is not None and error.filename in (None, temporary, str(temporary)):
            error.filename = os.fspath(path)
        raise


def _replaceable_mode(target: Path) -> int | None:
    """Return the permission bits of the file that is there, or None; refuse anything else."""
    try:
        status = target.stat()
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(target))
    if not stat.S_ISREG(status.st_mode):
        # Renaming over /dev/null or a pipe would destroy it.
        raise OSError(errno.EINVAL, "Not a regular file", str(target))
    if not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(target))
    return stat.S_IMODE(status.st_mode)


def sync_folder(folder: Path) -> None:
    """Make the renaming itself durable, where the system lets folders be opened."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
