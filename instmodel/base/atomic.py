"""Output files that appear whole or not at all.

`replacing` hands out a file beside the target, and moves it over the target only when everything
was written and reached the disk. Whatever ends the program before that leaves the target as it was.

The file has no name until it is complete, where the system knows such files (Linux, most file
systems): then nothing is left of it, whatever happens. Elsewhere, and in the moment between its
name and the target's, a killed program leaves a hidden temporary file; the next one that writes
into the folder removes it, unless a living one has it locked.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from instmodel.base import values

try:
    import fcntl
except ImportError:  # not POSIX
    fcntl = None  # type: ignore[assignment]

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
    _sweep(target.parent)
    try:
        mode = _replaceable_mode(target)
        try:
            # Inside: a signal may arrive as soon as the file is there.
            descriptor = _open_nameless(target.parent)
            nameless = descriptor is not None
            with os.fdopen(
                _open_named(temporary) if descriptor is None else descriptor, "w+b"
            ) as file:
                if mode is not None:
                    os.chmod(file.fileno() if os.chmod in os.supports_fd else temporary, mode)
                yield file
                file.flush()
                os.fsync(file.fileno())
                if nameless:
                    _give_name(file.fileno(), temporary)
                if fcntl:  # while it is locked, so that nobody sweeps it away
                    os.replace(temporary, target)
            if not fcntl:  # Windows renames no open file
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


def _open_nameless(folder: Path) -> int | None:
    """Return a new file without a name, locked; None where there is no such thing."""
    try:
        descriptor = os.open(folder, os.O_TMPFILE | os.O_RDWR, 0o666)
    except (OSError, AttributeError):  # not this system, or not this file system
        return None
    if not os.path.exists(_descriptor_path(descriptor)):  # without /proc it can get no name
        os.close(descriptor)
        return None
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return descriptor


def _open_named(temporary: Path) -> int:
    """Return a new file, locked where files can be."""
    # O_EXCL: never write into a file or through a link that is already there.
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    while True:
        descriptor = os.open(temporary, flags, 0o666)
        if fcntl is None:
            return descriptor
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_nlink:
            return descriptor
        os.close(descriptor)  # swept away before it was locked


def _give_name(descriptor: int, name: Path) -> None:
    # With folders given, Python calls linkat, which follows the link that /proc shows.
    folder = os.open(name.parent, os.O_RDONLY)
    try:
        os.link(_descriptor_path(descriptor), name.name, src_dir_fd=folder, dst_dir_fd=folder)
    finally:
        os.close(folder)


def _descriptor_path(descriptor: int) -> str:
    return f"/proc/self/fd/{descriptor}"


@functools.cache  # once for each folder is enough
def _sweep(folder: Path) -> None:
    """Remove the temporary files that killed programs have left in a folder."""
    if fcntl is None:
        return
    with contextlib.suppress(OSError):
        for path in folder.glob(_TEMPORARY.format("*")):
            with contextlib.suppress(OSError), open(path, "rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()


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
