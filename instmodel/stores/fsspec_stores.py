"""fsspec's file systems: the package for a URL, and what a call raises."""

from __future__ import annotations

import contextlib
import errno
import functools
import importlib
import os
import re
from collections.abc import Iterator
from typing import Any

from instmodel.base.extras import require
from instmodel.errors import InputError, InstModelError, without_secrets

# The package for a scheme, and our extra with it; fsspec knows more schemes, of other packages.
_PACKAGES = {
    **dict.fromkeys(("s3", "s3a"), ("s3fs", "s3")),
    **dict.fromkeys(("gs", "gcs"), ("gcsfs", "gcs")),
    **dict.fromkeys(("az", "abfs", "abfss", "adl"), ("adlfs", "azure")),
    "hf": ("huggingface_hub", "hf"),
}
# A user and a password before the bucket; the names of access points have colons, too.
_PASSWORD = re.compile(r"://(?!arn:)[^/@:]*:[^@]*@")
_KINDS = {
    FileNotFoundError: errno.ENOENT,
    PermissionError: errno.EACCES,
    FileExistsError: errno.EEXIST,
    IsADirectoryError: errno.EISDIR,
    TimeoutError: errno.ETIMEDOUT,
}


def file_system(url: str) -> tuple[Any, str]:
    """Return the file system of a URL, and the path in it.

    fsspec keeps the file systems and their connections, and makes new ones after a fork: so nobody
    else keeps them.

    Raises
    ------
    InstModelError
        ``missing_package``; ``invalid_type`` for a scheme that nobody knows.
    """
    scheme = url.partition("://")[0].lower()
    if scheme in _PACKAGES and _PASSWORD.search(url):
        # Their packages would take it for the bucket's name, and say so in their errors.
        raise InputError(
            "invalid_type",
            "no user and password can stand in this URL: the credentials are those that "
            f"{_PACKAGES[scheme][0]} finds",
            actual=url,
        )
    package, extra = _PACKAGES.get(scheme, ("fsspec", "s3"))
    require(package, extra)
    core = _core()
    if scheme not in require("fsspec", extra).available_protocols():
        raise InputError(
            "invalid_type",
            "nobody knows this kind of URL",
            expected="a path, or a URL in " + ", ".join(f"{name}://" for name in _PACKAGES),
            actual=url,
        )
    try:
        # Without the cache of listings: what others write must be seen.
        with telling(url):
            found: tuple[Any, str] = core.url_to_fs(url, use_listings_cache=False)
    except OSError as error:
        if isinstance(error.__cause__, ImportError):  # of a scheme for which we have no extra
            raise InstModelError(
                "missing_package", str(error.strerror), actual=error.__cause__
            ) from error
        raise
    return found


@functools.cache
def _core() -> Any:
    core, asyn = importlib.import_module("fsspec.core"), importlib.import_module("fsspec.asyn")
    if hasattr(os, "register_at_fork"):  # older versions leave that to whoever forks
        os.register_at_fork(after_in_child=asyn.reset_lock)
    return core


@contextlib.contextmanager
def telling(url: str) -> Iterator[None]:
    """Turn whatever a store's package raises into an `OSError` with the URL and the reason."""
    try:
        yield
    except InstModelError:
        raise
    except Exception as error:
        kind, number = _kind(error)
        raise kind(number, _reason(error, number, url), without_secrets(url)) from error


def is_refused(error: Exception) -> bool:
    """Tell whether a store knows who asks, and does not let them.

    s3fs has a kind of error for that, Azure's package a status, and gcsfs a word.
    """
    said = type(error) is OSError and str(error).startswith("Forbidden")
    return isinstance(error, PermissionError) or _status(error) == 403 or said


def _status(error: Exception) -> Any:
    return getattr(error, "status_code", getattr(error, "code", None))


def _kind(error: Exception) -> tuple[type[OSError], int]:
    for kind, number in _KINDS.items():
        if isinstance(error, kind):
            return kind, number
    unknown = "credential" in type(error).__name__.lower() or _status(error) == 401
    if unknown or is_refused(error):
        return PermissionError, errno.EACCES
    return OSError, (error.errno if isinstance(error, OSError) else None) or errno.EIO


def _reason(error: Exception, number: int, url: str) -> str:
    text = (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__
    text = without_secrets(" ".join(str(text).split()))
    if number == errno.ENOENT and text.strip("/'") in url:  # the path alone
        return os.strerror(number)
    if type(error).__name__ == "FileExpired":
        return REPLACED
    if number == errno.EACCES:
        package = _PACKAGES.get(url.partition("://")[0].lower(), ("its package",))[0]
        return f"{text} (the credentials are those that {package} finds)"
    return text


REPLACED = "the file was replaced while it was read; its rows would be of both"
