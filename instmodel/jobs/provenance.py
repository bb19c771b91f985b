"""Columns that say where scores come from: of which model, and of which run."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Any

from instmodel.base import arguments
from instmodel.errors import InputError

COLUMNS = ("model_digest", "model_version", "scored_at")


def now() -> str:
    """Return the time, UTC, to the microsecond."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def check(names: Sequence[str], version: str | None) -> None:
    """Refuse what is no column of provenance, and a version that nobody knows.

    Raises
    ------
    InputError
        ``invalid_type``
    """
    names = arguments.names(names, "provenance")
    for name in names:
        arguments.choice(name, "provenance", COLUMNS)
    if len(set(names)) < len(names):
        raise InputError("invalid_type", "a column is named twice", field="provenance")
    if "model_version" in names and version is None:
        raise InputError(
            "invalid_type",
            "nobody knows the model's version",
            field="model_version",
            expected="--model-version, a model from MLflow, or 'version' in its metadata",
        )


class Constants:
    """Columns that are the same in every row of a run.

    Parameters
    ----------
    values : dict of str to str
        By column, as text.
    dictionaries : bool
        Whether texts are dictionaries, as where the format has them.
    """

    def __init__(self, values: dict[str, str], dictionaries: bool) -> None:
        import pyarrow as pa

        self._values = values
        text = pa.dictionary(pa.int32(), pa.string()) if dictionaries else pa.string()
        time = pa.timestamp("us", tz="UTC")
        self._fields = [pa.field(name, time if name == "scored_at" else text) for name in values]

    def extended(self, schema: Any, taken: Collection[str]) -> Any:
        """Return a schema with these columns at its end.

        Parameters
        ----------
        schema : pyarrow.Schema
        taken : collection of str
            Names that columns of the schema must not have, either: those of folders.

        Raises
        ------
        InputError
            ``invalid_outputs``: two columns of one name.
        """
        import pyarrow as pa

        whole = pa.schema([*schema, *self._fields])
        names = [*whole.names, *taken]
        for name in names:
            if names.count(name) > 1:
                raise InputError(
                    "invalid_outputs", f"two columns of the result would be called {name!r}"
                )
        return whole

    def added(self, batch: Any) -> Any:
        """Return a record batch with these columns at its end."""
        import pyarrow as pa

        if not self._fields:
            return batch
        columns = [self._column(field, batch.num_rows) for field in self._fields]
        schema = pa.schema([*batch.schema, *self._fields])
        return pa.RecordBatch.from_arrays([*batch.columns, *columns], schema=schema)

    def _column(self, field: Any, rows: int) -> Any:
        import pyarrow as pa

        value = self._values[field.name]
        if pa.types.is_timestamp(field.type):
            return pa.repeat(pa.scalar(datetime.fromisoformat(value), field.type), rows)
        if pa.types.is_dictionary(field.type):
            places = pa.repeat(pa.scalar(0, pa.int32()), rows)
            return pa.DictionaryArray.from_arrays(places, pa.array([value]))
        return pa.repeat(pa.scalar(value), rows)
