"""Files of this machine."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import functools
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, BinaryIO

from instmodel.base import atomic
from instmodel.errors import InputError
from instmodel.stores.location import Location

try:
    import fcntl
except ImportError:  # not POSIX
    fcntl = None  # type: ignore[assignment]

# Of renameat2: paths are relative to the working folder; refuse to replace; change places.
_AT_FDCWD, _NOREPLACE, _EXCHANGE = -100, 1, 2
# Where the system cannot do these, or the file system cannot.
_UNKNOWN = (errno.ENOSYS, errno.EINVAL, errno.EPERM, errno.EOPNOTSUPP)


class LocalLocation(Location):
    """A file or a folder of this machine.

    Parameters
    ----------
    path : Path
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def local(self) -> Path:
        """Its path."""
        return self._path

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self._path.name

    @property
    def parent(self) -> LocalLocation:
        """The folder that it lies in."""
        return LocalLocation(self._path.parent)

    def __truediv__(self, below: str) -> LocalLocation:
        return LocalLocation(self._path / below)

    def __str__(self) -> str:
        return str(self._path)

    def is_same(self, other: Location) -> bool:
        """Tell whether both are one file or folder, also by links."""
        if other.local is None:
            return False
        if os.path.realpath(self._path) == os.path.realpath(other.local):
            return True
        both = self._path.exists() and other.local.exists()
        return both and self._path.samefile(other.local)

    def is_inside(self, folder: Location) -> bool:
        """Tell whether it lies below `folder`, behind all links."""
        if folder.local is None:
            return False
        return Path(os.path.realpath(folder.local)) in Path(os.path.realpath(self._path)).parents

    def exists(self) -> bool:
        """Tell whether something is there."""
        return self._path.exists()

    def is_folder(self) -> bool:
        """Tell whether a folder is there."""
        return self._path.is_dir()

    def files(self, hidden: bool = False) -> list[LocalLocation]:
        """Return every file below this folder; what cannot be read is an error."""

        def stop(error: OSError) -> None:
            raise error

        def shown(names: list[str]) -> list[str]:
            return [name for name in names if hidden or not name.startswith((".", "_"))]

        found: list[Path] = []
        for folder, folders, names in os.walk(self._path, onerror=stop, followlinks=not hidden):
            folders[:] = shown(folders)
            links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
            if hidden:
                names += links
            else:
                self._check_circles(Path(folder), links)
            found += (Path(folder, name) for name in shown(names))
        return [LocalLocation(path) for path in sorted(found)]

    def _check_circles(self, folder: Path, links: Sequence[str]) -> None:
        """Refuse links to a folder that they lie in: all below would be there without an end."""
        above = [self._path / part for part in folder.relative_to(self._path).parents]
        for name in links:
            if any((folder / name).samefile(one) for one in (folder, *above)):
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(folder / name))

    def relative_to(self, folder: Location) -> str:
        """Return the path below `folder`, with slashes."""
        assert folder.local is not None
        return self._path.relative_to(folder.local).as_posix()

    def stamp(self) -> dict[str, Any]:
        """Return the size and the time of the last change."""
        status = self._path.stat()
        return {"size": status.st_size, "mtime_ns": status.st_mtime_ns}

    def open(self, buffering: int = -1) -> BinaryIO:
        """Open the file for reading: who replaces it by renaming leaves the open one as it is."""
        return open(self._path, "rb", buffering=buffering)

    def check_writable(self) -> None:
        """Refuse a place whose folder is not there."""
        folder = self._path.parent
        if not folder.is_dir():
            raise FileNotFoundError(
                errno.ENOENT, f"the folder {folder} is not there", str(self._path)
            )

    def replacing(self) -> AbstractContextManager[BinaryIO]:
        """Open a file that replaces what is here; see `instmodel.base.atomic`."""
        return atomic.replacing(self._path)

    @contextlib.contextmanager
    def taking_turns(self) -> Iterator[None]:
        """Wait for a lock of the folder that the file lies in: that leaves nothing behind."""
        if fcntl is None:
            yield
            return
        descriptor = os.open(self._path.parent, os.O_RDONLY)
        try:
            with contextlib.suppress(OSError):  # not every file system has locks
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def make_folder(self) -> None:
        """Make this folder and those above it."""
        self._path.mkdir(parents=True, exist_ok=True)

    def remove(self) -> None:
        """Remove the file; nothing happens where none is."""
        self._path.unlink(missing_ok=True)

    def remove_tree(self) -> None:
        """Remove the folder and all below it; nothing happens where none is."""
        with contextlib.suppress(FileNotFoundError):
            _remove_any(self._path)

    def publish(self, target: Location, replace: bool = False) -> None:
        """Rename the folder, or let it and `target` change places."""
        assert target.local is not None
        # What a link points to is replaced, not the link.
        there = Path(os.path.realpath(target.local))
        if not os.path.lexists(there):
            _rename(self._path, there, _NOREPLACE, self._rename_if_free)
        elif replace:
            _rename(self._path, there, _EXCHANGE, self._rename_twice)
        else:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
        _remove_any(self._kept)
        atomic.sync_folder(there.parent)
        if there.parent != self._path.parent:
            atomic.sync_folder(self._path.parent)

    @property
    def _kept(self) -> Path:
        """Where `_rename_twice` keeps what was there before."""
        return self._path.with_name(self._path.name + "-old")

    def move(self, names: Collection[str], target: Location) -> None:
        """Rename the files."""
        assert target.local is not None
        for name in names:
            if (self._path / name).exists():
                there = target.local / name
                there.parent.mkdir(parents=True, exist_ok=True)
                os.replace(self._path / name, there)
                atomic.sync_folder(there.parent)

    def prune(self) -> None:
        """Remove the folders below this one that hold nothing."""
        for path in sorted(self._path.rglob("*"), reverse=True):
            if path.is_dir() and not path.is_symlink():
                with contextlib.suppress(OSError):  # not empty
                    path.rmdir()

    def _rename_if_free(self, target: Path) -> None:
        if os.path.lexists(target):  # rename would replace an empty folder
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
        os.rename(self._path, target)

    def _rename_twice(self, target: Path) -> None:
        """Change places in three steps; if they are cut short, the next run ends them."""
        old = self._kept
        _remove_any(old)
        os.rename(target, old)
        os.rename(self._path, target)
        os.rename(old, self._path)

    @contextlib.contextmanager
    def locked(self) -> Iterator[LocalLocation]:
        """Lock the folder; the system unlocks it whatever happens."""
        self.make_folder()
        if fcntl is None:
            yield self
            return
        descriptor = self._lock()
        try:
            yield self
        finally:
            os.close(descriptor)

    def _lock(self) -> int:
        while True:
            try:
                # Not through a link, which somebody else may have put there: all in it is removed.
                descriptor = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW)
            except FileNotFoundError:  # just published, or removed
                self.make_folder()
                continue
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                status = os.fstat(descriptor)
                self._check_owner(status.st_uid)
                with contextlib.suppress(FileNotFoundError):
                    if os.path.samestat(status, os.stat(self._path)):
                        return descriptor
            except BlockingIOError:
                os.close(descriptor)
                raise InputError(
                    "output_busy", "another run is working on this", file=self._path
                ) from None
            except OSError as error:  # a file system without locks
                os.close(descriptor)
                error.filename = str(self._path)
                raise
            os.close(descriptor)  # another folder has the name by now

    def _check_owner(self, owner: int) -> None:
        """Refuse a folder of somebody else, who could have put links into it."""
        if owner == os.geteuid():
            return
        with tempfile.TemporaryFile(dir=self._path.parent) as file:
            if owner == os.fstat(file.fileno()).st_uid:
                return  # a file system where all is somebody else's
        raise PermissionError(errno.EACCES, "the folder belongs to another user", str(self._path))

    def check(self) -> None:
        """Nobody takes a lock away that the system holds."""


def _remove_any(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _rename(path: Path, target: Path, flag: int, otherwise: Callable[[Path], None]) -> None:
    """Rename as `flag` says, in one step; where that is unknown, do `otherwise`."""
    call = _renameat2()
    if call is None:
        return otherwise(target)
    if call(_AT_FDCWD, os.fsencode(path), _AT_FDCWD, os.fsencode(target), flag) != 0:
        number = ctypes.get_errno()
        if number in _UNKNOWN:
            return otherwise(target)
        raise OSError(number, os.strerror(number), str(target))


@functools.cache
def _renameat2() -> Callable[..., int] | None:
    if not sys.platform.startswith("linux"):
        return None
    try:
        call = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):  # glibc before 2.28
        return None
    call.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint]
    return call
