"""Which tables have a log, and which of their versions is meant."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from typing import Any, NamedTuple

from instmodel.base import arguments
from instmodel.errors import InputError
from instmodel.stores import Location

# An Iceberg table is named by its folder, by such a file in it, or by a catalogue.
ICEBERG_METADATA = ".metadata.json"
ICEBERG_CATALOG = "iceberg:"


class Moment(NamedTuple):
    """Which rows of a table that has a log: those of a version, of a time, or the newest."""

    version: int | None = None
    time: datetime | None = None

    @classmethod
    def of(cls, version: Any, time: Any) -> Moment:
        """Return the moment of a version, or of a time: without a zone, it is UTC.

        Raises
        ------
        InputError
            ``invalid_type``: neither is one, or both are given.
        """
        if version is not None:
            version = arguments.count(version, "table_version", least=0)
        if time is None:
            return cls(version)
        if isinstance(time, str):
            with contextlib.suppress(ValueError):
                time = datetime.fromisoformat(time)
        if version is not None or not isinstance(time, datetime):
            raise InputError(
                "invalid_type",
                "no moment",
                field="table_time",
                expected="a time such as 2026-11-21T08:00:00Z, and no version beside it",
                actual=repr(time) if version is None else "both",
            )
        return cls(None, time if time.tzinfo else time.replace(tzinfo=UTC))


LATEST = Moment()


def log_of(root: Location) -> str | None:
    """Return which kind of table's log lies there: ``delta``, ``iceberg`` or None."""
    if root.name.startswith(ICEBERG_CATALOG) or root.name.endswith(ICEBERG_METADATA):
        return "iceberg"
    return log_in(root) if root.is_folder() else None


def log_in(folder: Location) -> str | None:
    """Return which kind of table's log lies in a folder that is there."""
    if (folder / "_delta_log").is_folder():
        return "delta"
    metadata = folder / "metadata"
    if metadata.is_folder() and any(f.name.endswith(ICEBERG_METADATA) for f in metadata.files()):
        return "iceberg"
    return None
