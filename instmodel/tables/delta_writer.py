"""Write rows into a Delta table: all of them in one commit, or nothing.

Design
------
A. Rows are spooled to a file without a name while they are scored, and written into the table when
   the last one is there. So a run that fails or is killed before that leaves nothing, the
   partitions to replace are known when `deltalake` asks for them, and none of its threads waits
   for ours.
B. A commit carries the run as an application transaction. What a run has committed is not
   committed again, also if two of them are under way at once: the log refuses the second one.
   Whether its rows are those of this run, and still there, the log says, too
   (`instmodel.tables.delta_history`).
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Any, BinaryIO

from instmodel.base import arguments
from instmodel.base.extras import require
from instmodel.errors import InputError
from instmodel.stores import Location
from instmodel.tables.delta_history import check_repeated
from instmodel.tables.delta_options import DeltaOutput
from instmodel.tables.logs import address, log_errors, reason, storage_options
from instmodel.tables.writers import Writer

# A commit of ours is looked for among so many of the newest ones.
_NEWEST = 100


class DeltaWriter(Writer):
    """Rows on their way into a Delta table.

    Parameters
    ----------
    spool : binary file
        Takes the rows until `commit`; can be read.
    root : Location
    output : DeltaOutput
    identity : mapping of str to str or None
        What the commit says of the run that must be the same where it is repeated
        (`delta_history.SAME`); None is not known.

    Raises
    ------
    InputError
        ``output_exists``, ``invalid_table``: the table, or something else, is there.
    """

    def __init__(
        self,
        spool: BinaryIO,
        root: Location,
        output: DeltaOutput,
        identity: Mapping[str, str | None],
    ) -> None:
        super().__init__(spool)
        self._root = root
        self._output = output
        self._identity = identity
        self._package = require("deltalake", "delta")
        self._place, self._options = address(root), storage_options(root)
        self._stopped = False
        self._partitions: dict[tuple[Any, ...], None] = {}
        with log_errors(root):
            self._table = self._existing()

    def _existing(self) -> Any:
        """Return the table that is there, if any."""
        if (self._root / "_delta_log").is_folder():
            return self._package.DeltaTable(self._place, None, self._options)
        if self._root.exists() and (not self._root.is_folder() or self._root.files(hidden=True)):
            raise InputError(
                "output_exists",
                "something that is no Delta table is there",
                file=str(self._root),
                expected="a Delta table, or a name that is free",
            )
        return None

    def committed(self) -> bool:
        """Tell whether the table has the rows of this run already.

        Raises
        ------
        InputError
            ``output_exists``: it has, or had, rows of this name that may be others.
        """
        run, name = self._output.run_id, self._output.app_id
        if self._table is None or run is None:
            return False
        with log_errors(self._root):
            if self._table.transaction_version(name) is None:
                return False
            check_repeated(self._root, self._table.version(), run, name, self._identity)
        return True

    def check_mode(self) -> None:
        """Refuse a table that is there if it must not be."""
        if self._table is not None and self._output.mode == "new":
            raise InputError(
                "output_exists",
                "the table is already there",
                file=str(self._root),
                expected="another mode, or a name that is free",
            )

    def _open(self) -> None:
        import pyarrow as pa

        with log_errors(self._root):
            self._plain = self._fitting(self._schema)
            self._by = self._partitioned_by()
        options = pa.ipc.IpcWriteOptions(compression="lz4")
        self._writer = pa.ipc.new_file(self._file, self._plain, options=options)

    def _fitting(self, schema: Any) -> Any:
        """Return the columns as the table has them, in its order."""
        import pyarrow as pa

        ours = pa.schema([pa.field(f.name, self._delta_type(f)) for f in schema])
        if self._table is None:
            return ours
        theirs = pa.schema(self._table.schema().to_arrow()).remove_metadata()
        differ = [f"{n} is missing" for n in theirs.names if n not in ours.names]
        for field in ours:
            if field.name not in theirs.names:
                differ.append(f"{field.name} is new")
            elif self._delta_type(theirs.field(field.name)) != field.type:
                wanted = theirs.field(field.name).type
                differ.append(f"{field.name} is {field.type}, not {wanted}")
        if differ:
            raise InputError(
                "invalid_outputs",
                f"the table has other columns: {', '.join(differ)}",
                file=str(self._root),
            )
        return pa.schema([ours.field(name) for name in theirs.names])

    def _delta_type(self, field: Any) -> Any:
        """Return the type that Delta has for a column."""
        import pyarrow as pa

        kind = _storable(field.type)
        try:
            schema = self._package.Schema.from_arrow(pa.schema([pa.field("x", kind)]))
        except Exception:  # it has no class of its own
            kind = pa.null()
        else:
            kind = pa.schema(schema.to_arrow()).field("x").type
        if pa.types.is_null(kind):
            raise InputError(
                "invalid_outputs", f"Delta has no type for {field.type}", column=field.name
            )
        return kind

    def _partitioned_by(self) -> list[str]:
        wanted = arguments.names(self._output.partition_by, "partition_by")
        for name in wanted:
            if name not in self._plain.names:
                raise InputError(
                    "invalid_outputs",
                    "a table is partitioned by columns of the output",
                    field="partition_by",
                    expected=", ".join(self._plain.names),
                    actual=name,
                )
        there = wanted if self._table is None else self._table.metadata().partition_columns
        if wanted and wanted != there:
            raise InputError(
                "invalid_outputs",
                "the table has other partitions",
                field="partition_by",
                expected=", ".join(there) or "none",
                actual=", ".join(wanted),
            )
        if self._output.mode == "partitions" and not there:
            raise InputError("invalid_outputs", "the table has no partitions", field="partition_by")
        return list(there)

    def write(self, batch: Any) -> None:
        """Add the rows of a record batch."""
        import pyarrow as pa

        columns = []
        for field in self._plain:
            try:
                columns.append(batch.column(field.name).cast(field.type))
            except pa.ArrowInvalid as error:
                raise InputError("invalid_outputs", str(error), column=field.name) from None
        plain = pa.RecordBatch.from_arrays(columns, schema=self._plain)
        _check_partitions(plain.select(self._by))
        self._writer.write_batch(plain)
        if self._output.mode == "partitions":
            groups = pa.Table.from_batches([plain.select(self._by)]).group_by(self._by)
            for row in groups.aggregate([]).to_pylist():
                self._partitions[tuple(row[name] for name in self._by)] = None

    def commit(self, told: Mapping[str, str]) -> int | None:
        """Put the rows into the table.

        Parameters
        ----------
        told : mapping of str to str
            What else the commit says about itself.

        Returns
        -------
        int or None
            The version of the table that has them first; None if another run of this name was
            faster.
        """
        import pyarrow as pa

        name = uuid.uuid4().hex
        run = self._output.run_id
        transactions = [] if run is None else [self._package.Transaction(self._output.app_id, 1)]
        known = {key: text for key, text in self._identity.items() if text is not None}
        properties = self._package.CommitProperties(
            custom_metadata={**known, **told, "instmodel.commit": name},
            app_transactions=transactions,
        )
        with log_errors(self._root), self._alone():
            # As it is now, hours later perhaps. The log refuses a commit that contradicts one after
            # this; one of the same name that came before, it takes.
            self._table = self._existing()
            if self.committed():
                return None
            self.check_mode()
            if self._table is not None and self._fitting(self._plain) != self._plain:
                raise self._came_between("the columns were changed")
            before = self._table and self._table.version()
            mode, predicate = self._way()
            try:
                self._call(
                    self._place if self._table is None else self._table,
                    pa.RecordBatchReader.from_batches(self._plain, self._spooled()),
                    partition_by=self._by if self._table is None else None,
                    mode=mode,
                    predicate=predicate,
                    storage_options=self._options,
                    commit_properties=properties,
                )
            except self._package.exceptions.DeltaError as error:
                self._table = self._existing()
                if self.committed():
                    return None
                self.check_mode()
                if self._table is not None and self._table.version() != before:
                    raise self._came_between(reason(error)) from error
                raise
            written = self._existing()
            if written is None:
                raise InputError(
                    "invalid_table", "no store that deltalake knows", file=str(self._root)
                )
            for commit in written.history(_NEWEST):
                if commit.get("instmodel.commit") == name:
                    return int(commit["version"])
            return int(written.version())

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Let no other run make the table now: `deltalake` would let both add their rows."""
        if self._existing() is not None:
            yield
            return
        place = self._root.parent / f".{self._root.name}.instmodel-part"
        with place.locked():
            try:
                yield
            finally:
                place.remove_tree()

    def _came_between(self, why: str) -> InputError:
        return InputError(
            "output_busy", f"another commit came between: {why}", file=str(self._root)
        )

    def _call(self, *arguments: Any, **options: Any) -> None:
        """Call `deltalake` in a thread of its own: a signal then stops the rows on their way to it.

        It reads them in threads of its own, and Python handles no signal before it returns.
        """
        with ThreadPoolExecutor(1, thread_name_prefix="instmodel-commit") as pool:
            future = pool.submit(self._package.write_deltalake, *arguments, **options)
            try:
                future.result()
            except BaseException:
                self._stopped = True
                raise

    def _way(self) -> tuple[str, str | None]:
        """Return the mode for `deltalake`, and which rows are replaced."""
        if self._table is None:
            return ("error" if self._output.mode == "new" else "append"), None
        if self._output.mode == "partitions" and self._partitions:
            return "overwrite", _predicate(
                [self._plain.field(n) for n in self._by], self._partitions
            )
        return ("overwrite" if self._output.mode == "overwrite" else "append"), None

    def _spooled(self) -> Iterator[Any]:
        import pyarrow as pa

        self._file.seek(0)
        reader = pa.ipc.open_file(pa.PythonFile(self._file, "r"))
        for index in range(reader.num_record_batches):
            yield reader.get_batch(index)
            if self._stopped:
                raise RuntimeError("stopped")


def _check_partitions(batch: Any) -> None:
    """Refuse what deltalake writes as ``-2.-25``, after which nobody can read the table."""
    import pyarrow as pa
    import pyarrow.compute as pc

    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        if pa.types.is_decimal(column.type) and pc.any(pc.less(column, pa.scalar(0))).as_py():
            raise InputError(
                "invalid_outputs", "a partition cannot be a negative decimal", column=name
            )


def _storable(kind: Any) -> Any:
    """Return a type that `deltalake` takes as it is and that holds all values of another."""
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        return _storable(kind.value_type)
    if pa.types.is_timestamp(kind):
        return pa.timestamp("us", "UTC" if kind.tz else None)
    # Delta has no unsigned integers; those of 64 bits must fit, or are an error.
    wider = {pa.uint8(): pa.int16(), pa.uint16(): pa.int32(), pa.uint32(): pa.int64()}
    return wider.get(kind, pa.int64() if kind == pa.uint64() else kind)


def _predicate(columns: Sequence[Any], partitions: Iterable[tuple[Any, ...]]) -> str:
    """Return the SQL of the rows in some partitions."""
    groups: dict[tuple[Any, ...], list[Any]] = {}
    for cells in partitions:
        groups.setdefault(cells[:-1], []).append(cells[-1])
    terms = []
    for others, last in groups.items():
        each = [_is(field, [value]) for field, value in zip(columns[:-1], others, strict=True)]
        terms.append(" AND ".join([*each, _is(columns[-1], last)]))
    return " OR ".join(f"({term})" for term in terms)


def _is(field: Any, cells: Sequence[Any]) -> str:
    name = '"' + field.name.replace('"', '""') + '"'
    values = [_literal(cell, field.type) for cell in cells if cell is not None]
    found = [f"{name} IN ({', '.join(values)})"] if values else []
    if len(values) < len(cells):
        found.append(f"{name} IS NULL")
    return f"({' OR '.join(found)})"


def _literal(cell: Any, kind: Any) -> str:
    """Return a value in SQL, of exactly the type of the column.

    Values of another type are compared wrongly by some versions of `deltalake`, which then replaces
    other partitions, too.
    """
    import pyarrow as pa

    text = cell.isoformat() if isinstance(cell, date) else str(cell)
    text = "'" + text.replace("'", "''") + "'"
    if pa.types.is_string(kind):
        return text
    if pa.types.is_boolean(kind):
        return str(cell).lower()
    if pa.types.is_date(kind):
        name = "Date32"
    elif pa.types.is_timestamp(kind):
        zone = 'Some("UTC")' if kind.tz else "None"
        name = f"Timestamp(Microsecond, {zone})"
    elif pa.types.is_decimal(kind):
        name = f"Decimal128({kind.precision}, {kind.scale})"
    elif pa.types.is_integer(kind) or pa.types.is_floating(kind):
        name = {"float": "Float32", "double": "Float64"}.get(str(kind), str(kind).capitalize())
    else:
        raise InputError("invalid_outputs", f"partitions of the type {kind} are not replaced")
    return f"arrow_cast({text}, '{name}')"
