"""Files in stores, through fsspec."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import tempfile
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from glob import has_magic
from typing import Any, BinaryIO, NoReturn, cast

from instmodel.errors import without_secrets
from instmodel.stores.fsspec_stores import REPLACED, file_system, is_refused, telling
from instmodel.stores.location import Location, Lock
from instmodel.stores.remote_lock import RemoteLock

# What tells one version of a file from another, the best first: packages call it differently.
_VERSIONS = ("ETag", "etag", "generation", "blob_id", "LastModified", "last_modified", "mtime")
# Bytes that are asked for together where a file is read from its start to its end.
_BUFFER = 8 << 20
# Schemes of one store.
_ALIASES = {"s3a": "s3", "gcs": "gs", "abfs": "az", "abfss": "az"}
# Where Linux shows the open files of a process.
_DESCRIPTORS = "/proc/self/fd"
# Those whose first folder somebody has to make before, and what it is called.
_BUCKETS = {"s3": "bucket", "gs": "bucket", "az": "container"}
# A large file is uploaded in parts: their least size, their number at most, and how many are in
# memory. The other packages have one in memory, unless told otherwise.
_PART, _MOST_PARTS, _TOGETHER = 8 << 20, 10_000, 4


class RemoteLocation(Location):
    """A file or a folder in a store.

    Parameters
    ----------
    url : str
    listed : mapping, optional
        What a listing told about the file.
    """

    def __init__(self, url: str, listed: dict[str, Any] | None = None) -> None:
        scheme, _, path = url.partition("://")
        self._url = f"{scheme.lower()}://{path}".rstrip("/")
        self._listed = listed

    @property
    def local(self) -> None:
        """Nothing: it is not on this machine."""

    @property
    def name(self) -> str:
        """The last part of the URL; of a web server, without the query, which may be signed."""
        scheme, _, path = self._url.partition("://")
        path = path.partition("?")[0] if scheme in ("http", "https") else path
        return path.rpartition("/")[2]

    @property
    def parent(self) -> RemoteLocation:
        """The folder that it lies in; of a bucket, the bucket."""
        above = self._url.rpartition("/")[0]
        return self if above.endswith((":/", "://")) else RemoteLocation(above)

    def __truediv__(self, below: str) -> RemoteLocation:
        return RemoteLocation(f"{self._url}/{below}")

    def __str__(self) -> str:
        return without_secrets(self._url)

    def is_same(self, other: Location) -> bool:
        """Tell whether both are one file or folder."""
        return isinstance(other, RemoteLocation) and self._place() == other._place()

    def is_inside(self, folder: Location) -> bool:
        """Tell whether it lies below `folder`."""
        if not isinstance(folder, RemoteLocation):
            return False
        (kind, path), (other, above) = self._place(), folder._place()
        return kind == other and path.startswith(above + "/")

    def _place(self) -> tuple[str, str]:
        """Return what is the same for all spellings of one place, as ``s3://`` and ``s3a://``."""
        scheme, _, path = self._url.partition("://")
        scheme = _ALIASES.get(scheme, scheme)
        if scheme == "az":  # az://container/path, or abfss://container@account/path
            container, _, below = path.partition("/")
            path = container.partition("@")[0] + "/" + below
        return scheme, path.rstrip("/")

    def exists(self) -> bool:
        """Tell whether something is there."""
        return self._info() is not None

    def is_folder(self) -> bool:
        """Tell whether a folder is there: a name that others begin with."""
        info = self._info()
        return info is not None and info["type"] == "directory"

    def _info(self) -> dict[str, Any] | None:
        with contextlib.suppress(FileNotFoundError), telling(self._url):
            return self._look()
        return None

    def _look(self) -> dict[str, Any]:
        """Return what the store knows of it, or let through what its package raises."""
        store, path = file_system(self._url)
        try:
            return cast(dict[str, Any], store.info(path))
        except FileNotFoundError:
            if self.parent is not self or self._kind_of_bucket() is None:
                raise
            # Of an empty bucket, s3fs of 2025 says the same, and so does gcsfs where only files may
            # be looked at. A listing is empty, and fails if there is no bucket.
            store.ls(path)
            return {"type": "directory", "size": 0}

    def files(self, hidden: bool = False) -> list[RemoteLocation]:
        """Return every file below this folder."""
        store, path = file_system(self._url)
        with telling(self._url):
            found = store.find(path, detail=True)
        start = len(path.rstrip("/")) + 1
        below = {tuple(name[start:].split("/")): info for name, info in found.items()}
        folders = {parts[:count] for parts in below for count in range(1, len(parts))}
        for parts, info in list(below.items()):
            # Consoles make an empty object for a folder, with a slash at its end, or without.
            is_folder = not all(parts) or (parts in folders and not info["size"])
            is_hidden = any(part.startswith((".", "_")) for part in parts)
            if is_folder or (is_hidden and not hidden):
                del below[parts]
        return [
            RemoteLocation("/".join((self._url, *parts)), info)
            for parts, info in sorted(below.items(), key=lambda item: item[0])
        ]

    def relative_to(self, folder: Location) -> str:
        """Return the path below `folder`, with slashes."""
        assert isinstance(folder, RemoteLocation)
        assert self._url.startswith(folder._url + "/")
        return self._url[len(folder._url) + 1 :]

    def stamp(self) -> dict[str, Any]:
        """Return the size, and the version by the name that the store has for it.

        It is that of the listing, if a listing found the file: older at worst, so that a file that
        was replaced since counts as changed.
        """
        info = self._listed or self._info()
        if info is None:
            self._check_bucket()  # whose error tells more
        if info is None or info["type"] == "directory":
            number = errno.ENOENT if info is None else errno.EISDIR
            raise OSError(number, os.strerror(number), str(self))
        key = next((key for key in (*_VERSIONS, "created") if info.get(key)), None)
        if key is None:
            return {"size": info["size"]}
        version = info[key]
        if isinstance(version, datetime):  # a number elsewhere, of the same file
            version = version.timestamp()
        return {"size": info["size"], key: str(version)}

    def open(self, buffering: int = -1) -> BinaryIO:
        """Open the file for reading."""
        raw = _Reading(self._url)
        size = _BUFFER if buffering < 0 else buffering
        return cast(BinaryIO, io.BufferedReader(raw, size) if size else raw)

    def check_writable(self) -> None:
        """Refuse a bucket that is not there, and a store that asks for credentials in vain."""
        self._check_bucket()

    def _check_bucket(self) -> None:
        kind = self._kind_of_bucket()
        if kind is None:
            return
        bucket = self
        while bucket.parent is not bucket:
            bucket = bucket.parent
        with telling(self._url):
            try:
                bucket._look()
            except FileNotFoundError as error:
                reason = f"the {kind} {bucket} is not there"
                raise FileNotFoundError(errno.ENOENT, reason) from error
            except Exception as error:
                # Who may use a file need not be allowed to look at its bucket.
                if not is_refused(error):
                    raise

    def _kind_of_bucket(self) -> str | None:
        return _BUCKETS.get(self._place()[0])

    @contextlib.contextmanager
    def replacing(self) -> Iterator[BinaryIO]:
        """Open a nameless file of this machine, which is uploaded at the end."""
        store, path = file_system(self._url)
        with _spool(self) as (file, name):
            yield file
            size = file.seek(0, io.SEEK_END)
            file.flush()
            options = {}
            if "s3" in store.protocol:
                part = max(_PART, -(-size // _MOST_PARTS))
                options = {"chunksize": part, "max_concurrency": _TOGETHER}
            with telling(self._url):
                store.put_file(name, path, **options)

    def make_folder(self) -> None:
        """Do nothing: a store has no folders."""

    def remove(self) -> None:
        """Remove the file; nothing happens where none is."""
        store, path = file_system(self._url)
        with contextlib.suppress(FileNotFoundError), telling(self._url):
            store.rm_file(path)

    def remove_tree(self) -> None:
        """Remove all files below; nothing happens where none is."""
        store, path = file_system(self._url)
        with contextlib.suppress(FileNotFoundError), telling(self._url):
            if has_magic(path):  # which rm takes for a pattern
                for name in store.find(path):
                    store.rm_file(name)
            else:
                store.rm(path, recursive=True)

    def publish(self, target: Location, replace: bool = False) -> None:
        """Copy the files inside of the store; then remove what was there before."""
        assert isinstance(target, RemoteLocation)
        if not replace and target.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
        names = [file.relative_to(self) for file in self.files()]
        before = {file.relative_to(target) for file in target.files()} if replace else set()
        self._copy(names, target)
        for name in sorted(before - set(names)):
            (target / name).remove()

    def move(self, names: Collection[str], target: Location) -> None:
        """Copy the files inside of the store."""
        assert isinstance(target, RemoteLocation)
        here = {file.relative_to(self) for file in self.files()}
        self._copy([name for name in names if name in here], target)

    def _copy(self, names: Sequence[str], target: RemoteLocation) -> None:
        store, here = file_system(self._url)
        there = file_system(target._url)[1]
        with telling(target._url):
            store.copy([f"{here}/{name}" for name in names], [f"{there}/{name}" for name in names])

    def prune(self) -> None:
        """Do nothing: a store has no folders."""

    @contextlib.contextmanager
    def locked(self) -> Iterator[Lock]:
        """Hold a lock beside the folder; see `instmodel.stores.remote_lock`."""
        with RemoteLock(self.parent / f"{self.name}.lock", self).held() as lock:
            yield lock

    def put(self, data: bytes) -> None:
        """Write a small file."""
        store, path = file_system(self._url)
        with telling(self._url):
            store.pipe_file(path, data)


class _Reading(io.RawIOBase):
    """A file of a store; an error if it was replaced before it was closed."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url
        self._file: Any = None
        self._stamp = RemoteLocation(url).stamp()
        self._at = 0
        store, path = file_system(url)
        with telling(url):
            # s3fs then asks for the version that it found when it opened the file.
            self._file = store.open(path, "rb", cache_type="none")

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._stamp["size"]}[whence]
        if start + offset < 0:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), without_secrets(self._url))
        self._at = start + offset
        return self._at

    def readinto(self, buffer: Any, /) -> int:
        with memoryview(buffer) as view:
            data = self._take(len(view))
            view[: len(data)] = data
        return len(data)

    def readall(self) -> bytes:
        return self._take(max(0, self._stamp["size"] - self._at))  # not 8 KB by 8 KB

    def _take(self, count: int) -> bytes:
        with telling(self._url):
            self._file.seek(self._at)  # files in memory share one position
            data: bytes = self._file.read(count)
        self._at += len(data)
        return data

    def close(self) -> None:
        if self.closed:
            return
        super().close()
        if self._file is not None:
            with telling(self._url):
                self._file.close()
            if RemoteLocation(self._url).stamp() != self._stamp:
                _refuse_replaced(self._url)


def _refuse_replaced(url: str) -> NoReturn:
    raise OSError(errno.EBUSY, REPLACED, without_secrets(url))


# What a write says for which a disk has no room.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextlib.contextmanager
def _spool(location: RemoteLocation) -> Iterator[tuple[BinaryIO, str]]:
    """Yield a temporary file and a name by which it can be opened once more."""
    try:
        # Without a name nothing is left of it, whatever happens.
        with tempfile.TemporaryFile() as file:
            name = f"{_DESCRIPTORS}/{file.fileno()}"
            if os.path.exists(name):
                yield cast(BinaryIO, file), name
                return
        with tempfile.NamedTemporaryFile(prefix="instmodel-") as named:
            yield cast(BinaryIO, named), named.name
    except OSError as error:
        if error.errno in _FULL and error.filename is None:
            error.filename = f"{location} (its copy in {tempfile.gettempdir()})"
        raise
