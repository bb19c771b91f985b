"""What a scoring job is to do, and what it did."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, BinaryIO, Literal, get_args

from instmodel.base import arguments, values
from instmodel.errors import InputError
from instmodel.jobs import provenance
from instmodel.jobs.event_job import EventOptions
from instmodel.jobs.metrics import Metrics, check_labels
from instmodel.model import InstructionModel, checked_model
from instmodel.signatures.counting import InputCounts, Tally
from instmodel.signatures.expectations import CheckInputs, Expectations
from instmodel.stores import AnyPath, Location
from instmodel.tables.binding import Nulls
from instmodel.tables.csv_options import CsvOptions
from instmodel.tables.delta_options import DeltaOutput
from instmodel.tables.kinds import KINDS, TEXT, kind_of, parts_of
from instmodel.tables.naming import Naming
from instmodel.tables.options import OnBadRow, ScoreOptions
from instmodel.tables.versions import Moment

# Of `CheckInputs`, what decides which rows are scored.
_SHAPING = ("error", "null")
ModelChange = Literal["keep", "rescore"]

Advance = Callable[[float, int], None]
"""Is told the part that is done, 0 to 1, and the rows so far."""


@dataclass(frozen=True)
class Job:
    """What to score, and how.

    Parameters
    ----------
    model : InstructionModel
    input : path-like or binary file
        A file, or a folder of files in one format. An open file, such as a pipe, is read once.
    output : path-like or binary file
        A file, its format told by its name; or, for an input folder, a folder that is not there.
        An open file gets CSV, or JSON lines if `format` says so, as the rows come.
    keep, outputs, nulls, on_bad_row
        As in `InstructionModel.score_batches`.
    check_inputs : {"error", "null", "count", "off"}, optional
        What becomes of a row that has what the model's signature does not expect: it ends the job;
        it gets null scores (with ``on_bad_row="skip"`` it is left out) and is among the bad rows;
        or it is counted and scored like any other, the default if there is a signature.
    bad_rows : path-like, optional
        Where to write a CSV file of the rows that could not be scored.
    format : {"parquet", "csv", "arrow", "jsonl", "csv.gz", "jsonl.zst", …}, optional
        Of the parts in an output folder, by default that of the input; or of an open file.
    input_format : str, optional
        Of the input, by default what the names of its files tell: as `format`. An open file is CSV
        unless it is said here.
    csv : CsvOptions
        How CSV that is read is written; what is written is UTF-8, with commas.
    threads : int, optional
        How many threads score; by default every CPU that this process may use.
    batch_rows : int, optional
        Rows that are scored together.
    resume : bool
        Go on with what an earlier run of the same job left, also in a finished output folder.
    overwrite : bool
        The output folder may be there, and is replaced in one step. A file always may.
    incremental : bool
        The output folder may be there, and stays: only files that are new or changed since are
        scored, and parts of files that are gone are removed. As `resume`, for a schedule.
    model_change : {"keep", "rescore"}, optional
        What becomes of the parts of an output folder that stays if another model scored them; by
        default, that is an error.
    provenance : sequence of {"model_digest", "model_version", "scored_at"}
        Columns that say where the scores come from, behind them. All rows of a run have one time.
    rename : mapping of str to str
        What the model calls some columns of the input: a feature, or a column of an array feature.
        Kept columns keep their own names.
    model_version : str, optional
        By default what MLflow calls it, ``models:/risk/3``, if the model comes from there, else
        ``version`` in the document's metadata.
    events : EventOptions, optional
        How the rows make sequences; a recurrent model needs it.
    delta : DeltaOutput, optional
        The output is a Delta table.
    table_version : int, optional
        Of a Delta or Iceberg table, the version (Iceberg: the snapshot) to read, not the newest.
    table_time : datetime or str, optional
        The same by a time, ISO 8601 in text; without a zone, it is UTC.
    metrics : path-like, optional
        Where counts and times go, in Prometheus text format, also if the run fails. What is counted
        goes on where the file that is there ended.
    metrics_labels : mapping of str to str
        Labels of every sample; ``job_name`` is the name of the file unless it is here.
    """

    model: InstructionModel
    input: str | os.PathLike[str] | BinaryIO
    output: str | os.PathLike[str] | BinaryIO
    keep: Sequence[str] = ()
    outputs: Sequence[str] | None = None
    nulls: Nulls = "error"
    on_bad_row: OnBadRow = "error"
    check_inputs: CheckInputs | None = None
    bad_rows: str | os.PathLike[str] | None = None
    format: str | None = None
    input_format: str | None = None
    csv: CsvOptions = field(default_factory=CsvOptions)
    threads: int | None = None
    batch_rows: int | None = None
    resume: bool = False
    overwrite: bool = False
    incremental: bool = False
    model_change: ModelChange | None = None
    provenance: Sequence[str] = ()
    rename: Mapping[str, str] = field(default_factory=dict)
    model_version: str | None = None
    events: EventOptions | None = None
    delta: DeltaOutput | None = None
    table_version: int | None = None
    table_time: datetime | str | None = None
    metrics: str | os.PathLike[str] | None = None
    metrics_labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def path(self) -> str | os.PathLike[str] | None:
        """Where the output goes; None for an open file."""
        return self.output if isinstance(self.output, str | os.PathLike) else None

    @property
    def input_path(self) -> str | os.PathLike[str] | None:
        """Where the input is; None for an open file."""
        return self.input if isinstance(self.input, str | os.PathLike) else None

    @property
    def states(self) -> tuple[AnyPath | None, AnyPath | None]:
        """Where the states of sequences come from, and where they go."""
        if not isinstance(self.events, EventOptions):
            return None, None
        places = (self.events.states_in, self.events.states_out)
        found = [place if isinstance(place, str | os.PathLike) else None for place in places]
        return found[0], found[1]

    @property
    def naming(self) -> Naming:
        """How to find features in the columns of the input."""
        return Naming(self.rename)

    @property
    def options(self) -> ScoreOptions:
        """How its rows are scored."""
        return ScoreOptions(self.keep, self.outputs, self.nulls, self.on_bad_row, self.naming)

    @property
    def goes_on(self) -> bool:
        """Whether what an earlier run did is of use."""
        return self.resume or self.incremental

    @property
    def version(self) -> str | None:
        """What people call the model's version."""
        if self.model_version is not None:
            return self.model_version
        if self.model.origin is not None and self.model.origin.uri is not None:
            return self.model.origin.uri
        metadata = self.model.structure.metadata
        version = metadata.get("version") if isinstance(metadata, Mapping) else None
        return None if version is None else str(version)

    def tally(self) -> Tally | None:
        """Return what counts the rows against the model's signature; None if nothing is to."""
        signature = self.model.signature
        if signature is None or self.check_inputs == "off":
            return None
        expectations = Expectations(signature, self.model.named_features)
        return Tally(expectations, find_bad=self.check_inputs in _SHAPING)

    def constants(self, scored_at: str) -> dict[str, str]:
        """Return the columns of provenance, of a run at that time."""
        known = {
            "model_digest": self.model.digest,
            "model_version": self.version or "",
            "scored_at": scored_at,
        }
        return {name: known[name] for name in arguments.names(self.provenance, "provenance")}

    def check(self) -> None:
        """Refuse what is no model or no path, and numbers that make no sense.

        Raises
        ------
        InputError
            ``invalid_thread_count``, ``invalid_type``, ``invalid_table``, ``missing_signature``.
        """
        checked_model(self.model)
        self.check_metrics()
        _check_place(self.input, "input", "read")
        _check_place(self.output, "output", "write")
        for name in ("format", "input_format"):
            if getattr(self, name) is not None:
                arguments.choice(getattr(self, name), name, KINDS, "invalid_table")
        if self.path is None and self.format and parts_of(self.format)[0] not in TEXT:
            raise InputError(
                "invalid_table",
                "a stream is no place for this format",
                field="format",
                expected="csv or jsonl",
                actual=self.format,
            )
        if not isinstance(self.csv, CsvOptions):
            raise arguments.wrong_type(self.csv, "csv", "CsvOptions")
        self.csv.check()
        if self.bad_rows is not None:
            arguments.path(self.bad_rows, "bad_rows")
        arguments.names(self.keep, "keep")
        if self.outputs is not None:
            arguments.names(self.outputs, "outputs", "invalid_outputs")
        if self.threads is not None:
            arguments.count(self.threads, "threads", code="invalid_thread_count")
        if self.batch_rows is not None:
            arguments.count(self.batch_rows, "batch_rows")
        if self.check_inputs is not None:
            arguments.choice(self.check_inputs, "check_inputs", get_args(CheckInputs))
            if self.check_inputs != "off" and self.model.signature is None:
                raise InputError(
                    "missing_signature",
                    "the model does not say what it expects: `instmodel signature` lets it",
                    field="check_inputs",
                    expected="a model with a signature",
                )
        self._check_output()
        self._check_events()
        Moment.of(self.table_version, self.table_time)
        if not isinstance(self.model_version, str | None):
            raise arguments.wrong_type(self.model_version, "model_version", "a text")
        self.naming.check(self.model.named_features)
        provenance.check(self.provenance, self.version)

    def check_metrics(self) -> None:
        """Refuse what makes no sense about the metrics, which tell what else does not."""
        if self.metrics is not None:
            arguments.path(self.metrics, "metrics")
        check_labels(self.metrics_labels)

    def _check_output(self) -> None:
        """Refuse what makes no sense together about an output that is there."""
        for name in ("resume", "overwrite", "incremental"):
            values.boolean(getattr(self, name), name)
        if self.delta is not None:
            self._check_delta(self.delta)
        if self.overwrite and self.incremental:
            raise InputError(
                "invalid_type", "an output is replaced, or it stays", field="incremental"
            )
        if self.model_change is not None:
            arguments.choice(self.model_change, "model_change", get_args(ModelChange))
            if not self.goes_on:
                raise InputError(
                    "invalid_type",
                    "makes sense for an output that stays",
                    field="model_change",
                    expected="incremental, too",
                )

    def _check_delta(self, output: Any) -> None:
        if not isinstance(output, DeltaOutput):
            raise arguments.wrong_type(output, "delta", "a DeltaOutput")
        output.check()
        for name in ("resume", "overwrite", "incremental", "format"):
            if getattr(self, name):
                raise InputError("invalid_type", "not for a Delta table; it has a mode", field=name)
        if self.path is None:
            raise InputError("invalid_type", "a stream is no place for a table", field="output")

    def _check_events(self) -> None:
        """Refuse rows that make no sequences, of a recurrent model, and sequences of another."""
        if self.events is None:
            if self.model.is_recurrent:
                raise InputError(
                    "needs_sequences",
                    "the model is recurrent: say which columns name the sequence of a row",
                    field="by",
                )
            return
        if not isinstance(self.events, EventOptions):
            raise arguments.wrong_type(self.events, "events", "EventOptions")
        self.events.check()
        self.model.require_state()
        for name in ("resume", "incremental"):
            if getattr(self, name):
                raise InputError(
                    "invalid_type",
                    "the states between the parts of a folder are not kept: all of it is one run",
                    field=name,
                )
        if self.delta is not None and self.events.states_out is not None:
            raise InputError(
                "invalid_type",
                "a table and a file of states do not appear together: write a file or folder",
                field="states_out",
            )
        if self.events.sort and not (self.keep or self.events.last):
            raise InputError(
                "invalid_type",
                "the output has the order of the sorted rows: keep a column that tells them apart",
                field="sort",
                expected="keep, too",
            )
        if self.events.last and (self.keep or self._makes_parts()):
            what = "keep" if self.keep else "last"
            raise InputError(
                "invalid_type",
                "the last output of each sequence is written beside its key alone, in one file",
                field=what,
            )

    def _makes_parts(self) -> bool:
        return self.path is not None and self.delta is None and kind_of(self.path) is None

    @property
    def moment(self) -> Moment:
        """Which rows of a table that has a log are read."""
        return Moment.of(self.table_version, self.table_time)

    def meaning(self) -> dict[str, Any]:
        """Return which options decide the rows of the output, as JSON."""
        checked = {"check_inputs": self.check_inputs} if self.check_inputs in _SHAPING else {}
        events = {} if self.events is None else {"events": self.events.meaning()}
        return {
            **checked,
            **events,
            "keep": arguments.names(self.keep, "keep"),
            "outputs": None if self.outputs is None else list(self.outputs),
            "nulls": _text(self.nulls),
            "rename": dict(self.rename),
            "input_format": self.input_format,
            "csv": self.csv.meaning(),
            "on_bad_row": self.on_bad_row,
            "provenance": arguments.names(self.provenance, "provenance"),
        }


@dataclass
class Result:
    """What a job did.

    Attributes
    ----------
    metrics : Metrics
        Of this run alone.
    scored_at : str
        The time of the run: UTC, to the microsecond.
    rows, bad_rows : int
        Of the whole output, also what an earlier run had finished.
    added_rows, added_bad_rows, added_parts : int
        What the output has now and had not before: what this run scored, and what one that was
        stopped had finished.
    parts, reused_parts : int
        Files of the output, and how many of them an earlier run had finished.
    removed_parts : list of str
        Parts that are gone, as their sources are.
    manifest : Location or None
        Of an output folder.
    table : mapping
        Of an input that has a log: its format, and the version that was read.
    output_version : int or None
        Of a Delta table: the version that has the rows first.
    repeated : bool
        The Delta table had the rows of this run already; nothing was done.
    sequences : int or None
        How many sequences the states hold that come out.
    """

    metrics: Metrics = field(default_factory=Metrics)
    scored_at: str = field(default_factory=provenance.now)
    rows: int = 0
    bad_rows: int = 0
    added_rows: int = 0
    added_bad_rows: int = 0
    added_parts: int = 0
    parts: int = 0
    reused_parts: int = 0
    removed_parts: list[str] = field(default_factory=list)
    manifest: Location | None = None
    table: Mapping[str, Any] = field(default_factory=dict)
    output_version: int | None = None
    repeated: bool = False
    sequences: int | None = None

    def count_added(self, rows: int, bad_rows: int, parts: int) -> None:
        """Note what the output has now and had not before."""
        self.added_rows, self.added_bad_rows, self.added_parts = rows, bad_rows, parts

    @property
    def inputs(self) -> InputCounts | None:
        """What of the inputs of this run the model's signature does not expect, if it has one."""
        return None if self.metrics.inputs is None else self.metrics.inputs.found()


def _check_place(place: Any, name: str, method: str) -> None:
    """Refuse what is neither a path nor an open file of bytes."""
    if isinstance(place, io.TextIOBase):
        raise arguments.wrong_type(place, name, "a path, or a file that was opened as binary")
    if not hasattr(place, method):
        arguments.path(place, name)


def _text(nulls: Nulls) -> Any:
    if isinstance(nulls, Mapping):
        return {name: str(value) for name, value in nulls.items()}
    return str(nulls)
