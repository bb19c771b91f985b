"""The compiled model: what users hold."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, Self, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from instmodel._engine import Engine
from instmodel.base import arrays, map_keys, values
from instmodel.base.features import Feature
from instmodel.base.limits import DEFAULT_LIMITS, Limits
from instmodel.base.tolerance import DEFAULT_ATOL, DEFAULT_RTOL, Tolerance
from instmodel.compiled import parallel, program, ragged, sequences, validation
from instmodel.compiled.panels import PackedWeights
from instmodel.compiled.parallel import ParallelPredictOutput, PredictConfig
from instmodel.document import keys, reads
from instmodel.document.graph import ExecutionGraph
from instmodel.document.instruction_base import Instruction
from instmodel.document.schema import InstructionModelInfo, Unknown
from instmodel.document.signature import Signature
from instmodel.document.structure import Structure
from instmodel.document.validate import check, warn_of_lost_inputs
from instmodel.errors import InputError, InstModelError

if TYPE_CHECKING:
    from instmodel.events.store import StateStore
    from instmodel.formats.binary_reader import BinaryModel
    from instmodel.formats.registered import Origin
    from instmodel.signatures.violations import Check

# What `InstructionModel._build` sets.
_MADE_ANEW = frozenset({"_checked", "_packed", "_limits", "_packer", "_initial_state"})


class InstructionModel(Engine):
    """A model that is checked, compiled and ready to run.

    Making one checks every rule of the format, compiles, and runs the document's validation data.
    A model never changes afterwards; any number of threads may use it at once. It pickles as its
    document, whose validation data does not run again.

    Parameters
    ----------
    info : InstructionModelInfo
        The document. The model keeps a private copy.
    limits : Limits, optional
        How large a model may be.
    atol, rtol : float
        How far the model may be from its validation data, see `validate`.
    validate : bool
        Whether to run the validation data. Its sizes are checked in any case.

    Attributes
    ----------
    feature_size, output_size : int
        Input values F and output values O of a sample.
    required_memory : int
        Floats in the unified buffer.
    output_index_start : int
        Where the output starts in the unified buffer.
    state_size : int
        Values of state S of a sequence, the state buffers in document order; 0 where rows are
        independent of each other.

    Raises
    ------
    InstModelError
        The first rule that is broken: its code, the place, what was expected and what came.

    Warns
    -----
    UserWarning
        An instruction overwrites input values before any has read them: they change no score. Maps
        have keys that float32 cannot hold, such as 16777217: nothing ever finds them.
    """

    _origin: Origin | None = None

    def __init__(
        self,
        info: InstructionModelInfo,
        *,
        limits: Limits = DEFAULT_LIMITS,
        atol: float = DEFAULT_ATOL,
        rtol: float = DEFAULT_RTOL,
        validate: bool = True,
    ) -> None:
        if not isinstance(info, InstructionModelInfo):
            raise values.wrong_type(info, "info", "an InstructionModelInfo")
        # A copy, checked once more: its owner may have changed the original, and may yet.
        own = dataclasses.replace(info)
        self._warn(self._build(own, limits, _tolerance(atol, rtol, validate)))

    def _build(
        self,
        document: InstructionModelInfo | BinaryModel,
        limits: Limits,
        tolerance: Tolerance | None,
    ) -> program.Program:
        """Check and compile a document that nobody else holds, once.

        Without `tolerance`, the validation data does not run.
        """
        if hasattr(self, "_checked"):
            raise RuntimeError("a model never changes: make another one")
        self._checked = check(document.structure, limits)
        self._packed = (
            PackedWeights.pack(document.weights, document.bias)
            if isinstance(document, InstructionModelInfo)
            else document.packed
        )
        self._limits = limits
        lowered = program.lower(self._checked, self._packed)
        self._compile(lowered)
        self._initial_state = lowered.initial_state
        self._packer: Any = None  # of `predict_one`, made on first use
        data = self.structure.validation_data
        if data is not None and tolerance is not None:
            cases = sum(map(len, data.inputs)) if self.is_recurrent else len(data.inputs)
            limits.check_validation_work(lowered.work_of(cases))
            self.validate(data.inputs, data.expected_outputs, tolerance.atol, tolerance.rtol)
        return lowered

    def _warn(self, lowered: program.Program) -> None:
        """Tell the caller of the caller what the document holds in vain."""
        keys.warn_of_lost_keys([table.keys for table in lowered.maps], stacklevel=3)
        warn_of_lost_inputs(self._checked, stacklevel=3)

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        *,
        mmap: bool = False,
        unknown: Unknown = "error",
        limits: Limits = DEFAULT_LIMITS,
        atol: float = DEFAULT_ATOL,
        rtol: float = DEFAULT_RTOL,
        validate: bool = True,
    ) -> Self:
        """Load a model file, check it, and make it ready to run.

        The format is recognised by the content, not by the name. A subclass gets a model of its own
        class, whose ``__init__`` is not called.

        Parameters
        ----------
        path : path-like
            A file; or a model that MLflow holds (the extra ``mlflow``): ``models:/name@alias``,
            ``models:/name/3``, ``runs:/id/path``, ``mlflow-artifacts:/path``, or a folder that it
            wrote.
        mmap : bool
            Leave the weights of a binary file in the mapped file: processes that load it share
            them. Everything else is copied before it is checked. Who changes the file then changes
            what the model computes, and who truncates it ends the process (SIGBUS): replace such
            files by renaming, as `InstructionModelInfo.save` does. JSON files are read as ever.
        unknown : {"error", "ignore"}
            What to do with a key that the format does not know.
        limits : Limits, optional
            How large a model may be.
        atol, rtol : float
            How far the model may be from its validation data, see `validate`.
        validate : bool
            Whether to run the validation data. Its sizes are checked in any case.

        Raises
        ------
        InstModelError
            What is wrong with the file, and where.
        OSError
            The file cannot be read.

        Warns
        -----
        UserWarning
            As the class.
        """
        # Not at the top: who only builds models needs neither msgpack nor OpenSSL's hashes.
        from instmodel import formats

        tolerance = _tolerance(atol, rtol, validate)
        found, origin = formats.open_model(path, mmap=mmap, unknown=unknown, limits=limits)
        model = InstructionModel.__new__(cls)
        try:
            lowered = model._build(found, limits, tolerance)
        except InstModelError as error:
            if error.code == "unsupported_isa":  # no fault of the file
                raise
            raise error.in_file(path) from None
        if origin is not None:
            model._origin = origin
        model._warn(lowered)
        return model

    @property
    def info(self) -> InstructionModelInfo:
        """The document, a copy: changing it does not change the model.

        The weights are unpacked for it; `structure` and `digest` are there without.
        """
        return self._packed.fill(self.structure)

    @property
    def structure(self) -> Structure:
        """The document but for the values of its dense layers: the model's own, not to change."""
        return self._checked.structure

    @property
    def instructions(self) -> tuple[Instruction, ...]:
        """The instructions, in the order in which they run."""
        return tuple(self.structure.instructions)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the document, hexadecimal, as `InstructionModelInfo.digest` gives it."""
        from instmodel.formats import binary

        return binary.digest(self.structure, self._packed)

    def to_bytes(self) -> bytes:
        """Return the bytes of the document's binary file."""
        from instmodel.formats import binary

        return binary.to_bytes(self.structure, self._packed)

    @property
    def origin(self) -> Origin | None:
        """Which of MLflow's models it is: its URI, name, version and run; else None."""
        return self._origin

    @property
    def limits(self) -> Limits:
        """How large the model was allowed to be."""
        return self._limits

    @property
    def named_features(self) -> list[Feature]:
        """The inputs by name, an array feature as one; empty where the document names none."""
        return list(self._checked.features)

    @property
    def features(self) -> list[str]:
        """Input names in order, as the document writes them; empty where it names none."""
        return list(self.structure.features or [])

    @property
    def columns(self) -> list[str]:
        """Name of each input value: `features` with ``emb[2]`` as ``emb[0]``, ``emb[1]``."""
        return [name for feature in self._checked.features for name in feature.columns()]

    @cached_property
    def key_inputs(self) -> tuple[int, ...]:
        """Positions of the input values that are looked up in maps as they come, ascending.

        Numbers for them that float32 would round to another key are refused: ``inexact_key``.
        """
        return keys.key_inputs(
            self.instructions, self.buffer_sizes, self.feature_size, self.structure.state_buffers
        )

    @property
    def signature(self) -> Signature | None:
        """What the document says that the model expects of its inputs."""
        return self.structure.signature

    @cached_property
    def read_inputs(self) -> tuple[int, ...]:
        """Positions of the input values that may change an output, ascending.

        Tables need no columns for the others, such as those that a pipeline of scikit-learn drops.
        """
        return reads.read_inputs(
            self.instructions, self.buffer_sizes, self.feature_size, self.structure.state_buffers
        )

    @property
    def buffer_sizes(self) -> list[int]:
        """Size of each buffer."""
        return list(self.structure.buffer_sizes)

    @property
    def buffer_offsets(self) -> list[int]:
        """Where each buffer starts in the unified buffer."""
        return list(self._checked.offsets)

    @property
    def execution_graph(self) -> ExecutionGraph:
        """Which instruction needs the result of which."""
        return self._checked.graph

    @property
    def is_parallelizable(self) -> bool:
        """Whether some instructions do not wait for each other."""
        return self._checked.graph.is_parallelizable

    def initial_state(self, n: int) -> NDArray[np.float32]:
        """Return what n sequences hold before their first step, (n, S) float32, to be changed."""
        return sequences.initial_states(self._initial_state, n)

    @property
    def is_recurrent(self) -> bool:
        """Whether the model has state: then its samples are sequences, whose rows are steps."""
        return self.state_size > 0

    def _predict_any(self, x: ArrayLike, out: NDArray[np.float32] | None) -> NDArray[np.float32]:
        return super()._predict_any(self._checked_input(x), out)

    def _checked_input(self, x: Any, *, flat: bool = False) -> Any:
        """Return `x`, or an array of it, after a look at its names and at its keys of maps."""
        self.require_rows()
        arrays.check_columns(x, self._checked.features)
        if not self.key_inputs:
            return x
        array = arrays.real_array(x)
        rows = arrays.as_rows(array, self.feature_size, flat=flat)
        first_row = None if array.shape == (self.feature_size,) else 0
        map_keys.check(rows, self.key_inputs, lambda: self.columns, first_row)
        return array

    def predict_parallel(
        self,
        x: ArrayLike,
        config: PredictConfig | None = None,
        *,
        out: NDArray[np.float32] | None = None,
    ) -> ParallelPredictOutput:
        """Compute many samples on several threads; the same bits as `predict`.

        Parameters
        ----------
        x : array_like of shape (N, F) or (N·F,)
            Real numbers of any type, converted to float32.
        config : PredictConfig, optional
            Number of threads, and what part of the unified buffer to return.
        out : ndarray of float32, shape (N, O) or (N, size of the slice), optional
            Where to write the results: C-ordered and writable. An array that is used again and
            again saves the system from handing out fresh memory, up to a tenth of the time.

        Returns
        -------
        ParallelPredictOutput
            (N, O) or (N, size of the slice) float32; a view of `out`, if it was given.

        Raises
        ------
        InstModelError
            ``input_size_mismatch``, ``invalid_type``, ``column_mismatch``, ``inexact_key``,
            ``invalid_thread_count``, ``invalid_slice``, ``slice_out_of_bounds``,
            ``destination_size_mismatch``.
        """
        chosen = PredictConfig() if config is None else config
        return parallel.predict_parallel(self, self._checked_input(x, flat=True), chosen, out)

    def _step_any(self, x: Any, state: Any) -> NDArray[np.float32]:
        rows = arrays.as_float32(self._checked_sequence_rows(x))
        if rows.shape != (self.feature_size,):
            rows = arrays.as_rows(rows, self.feature_size)
        ragged.check_state(state, (*rows.shape[:-1], self.state_size))
        if np.may_share_memory(rows, state):
            rows = rows.copy()
        if not rows.size:  # whose strides say nothing
            return np.empty((0, self.output_size), np.float32)
        return super()._step_any(rows, state)

    def _checked_sequence_rows(self, x: Any) -> NDArray[Any]:
        """Return rows that are steps of sequences as an array, after a look at names and keys."""
        self.require_state()
        arrays.check_columns(x, self._checked.features)
        array = arrays.real_array(x)
        if self.key_inputs:
            rows = arrays.as_rows(array, self.feature_size)
            map_keys.check(rows, self.key_inputs, lambda: self.columns)
        return array

    def predict_sequences(
        self,
        x: Any,
        lengths: ArrayLike | None = None,
        *,
        offsets: ArrayLike | None = None,
        state: NDArray[np.float32] | None = None,
        last: bool = False,
        threads: int | None = None,
        out: NDArray[np.float32] | None = None,
    ) -> Any:
        """Compute every step of many sequences with a recurrent model.

        What a step gives depends on the model, its row and the rows before it in its sequence
        alone: not on the other sequences, on how they are cut into calls, or on the threads.

        Parameters
        ----------
        x : array_like of shape (N, T, F); list of N array_like (T_i, F); array_like (ΣT, F)
            The sequences: all with room for T steps; one by one; or all rows one after the other,
            with `offsets`. Real numbers of any type, converted to float32.
        lengths : array_like of int, shape (N,), optional
            How many steps each sequence of an (N, T, F) has, T without. What lies behind them is
            never read.
        offsets : array_like of int, shape (N + 1,), optional
            Where each sequence of a (ΣT, F) begins, and the number of all rows.
        state : ndarray of float32, shape (N, S), C-ordered, writable, optional
            Where each sequence starts; changed in place to where it ended. Without, each starts
            as `initial_state` says. A call that fails leaves it as it was.
        last : bool
            Return the output of each sequence's last step only.
        threads : int, optional
            How many threads work; None is every CPU that this process may use. Sequences are
            shared out: one alone runs on one thread.
        out : ndarray of float32, of the shape of the result, optional
            Where to write the result: C-ordered and writable; (ΣT, O) for a list.

        Returns
        -------
        ndarray of float32, shape (N, T, O), or (ΣT, O); or list of N arrays (T_i, O)
            As `x` came; NaN behind the end of a sequence. With `last`, (N, O), NaN where a
            sequence has no step. `out`, if it was given.

        Raises
        ------
        InstModelError
            ``sequence_shape_mismatch``, ``invalid_lengths``, ``invalid_offsets``,
            ``state_size_mismatch``, ``invalid_type``, ``column_mismatch``, ``inexact_key``,
            ``invalid_thread_count``, ``destination_size_mismatch``.
        """
        self.require_state()
        arrays.check_columns(x, self._checked.features)
        given = ragged.read_sequences(x, lengths, offsets, self.feature_size)
        if self.key_inputs:
            map_keys.check(given.steps(), self.key_inputs, lambda: self.columns)
        only_last = values.boolean(last, "last")
        return sequences.predict_sequences(self, given, state, only_last, threads, out)

    def predict_events(
        self,
        table: Any,
        by: str | Sequence[str],
        order: str | None = None,
        *,
        states: StateStore | None = None,
        nulls: str | float | Mapping[str, str | float] = "error",
        threads: int | None = None,
    ) -> NDArray[np.float32]:
        """Compute the output of every event of a table that holds events of many sequences.

        Rows of one key are the steps of one sequence, in the order of the table. However they lie
        between the rows of others, and wherever a day's table ends if `states` goes on to the next:
        the bits are those of each sequence alone.

        Parameters
        ----------
        table : table of N rows
            As for `predict_table`.
        by : str or sequence of str
            The columns that name the sequence: whole numbers, text, bytes, booleans, dates, times
            or decimals. They may be features, too.
        order : str, optional
            A column of numbers, dates or times that never goes back within a sequence, also not
            behind what `states` remembers. Text is read as numbers or ISO times. Equal times are
            in order.
        states : StateStore, optional
            Where known sequences go on, and what holds all states afterwards. Without, all
            sequences begin anew. A call that fails leaves it as it was.
        nulls : {"error", "nan"}, number, or mapping of column to one of them
            What a null becomes, as in `predict_table`. In `by` and `order` it is an error.
        threads : int, optional
            How many threads work; None is every CPU that this process may use.

        Returns
        -------
        ndarray of float32, shape (N, O)
            In the order of the rows.

        Raises
        ------
        InstModelError
            ``unordered_events``, ``state_model_mismatch``; ``column_mismatch``: the store was
            filled by other columns; and as `predict_table`: with `column` and a `row` at fault,
            counted from 0. Needs the extra ``arrow`` (``missing_package``).
        """
        self.require_state()
        from instmodel.events import scoring

        count = parallel.checked_threads(threads)
        return scoring.predict_events(self, table, by, order, states, nulls, count)

    @overload
    def predict_table(
        self,
        table: Any,
        nulls: str | float | Mapping[str, str | float] = ...,
        *,
        threads: int | None = ...,
        check_inputs: bool = ...,
    ) -> NDArray[np.float32]: ...

    @overload
    def predict_table(
        self,
        table: Any,
        nulls: str | float | Mapping[str, str | float] = ...,
        *,
        threads: int | None = ...,
        check_inputs: bool = ...,
        as_table: bool,
        keep: Sequence[str] = ...,
        outputs: Sequence[str] | None = ...,
        on_bad_row: Literal["error", "null", "skip"] = ...,
    ) -> Any: ...

    def predict_table(
        self,
        table: Any,
        nulls: str | float | Mapping[str, str | float] = "error",
        *,
        threads: int | None = None,
        check_inputs: bool = False,
        as_table: bool = False,
        keep: Sequence[str] = (),
        outputs: Sequence[str] | None = None,
        on_bad_row: Literal["error", "null", "skip"] = "error",
    ) -> Any:
        """Compute the outputs of every row of a table; columns are found by name.

        Parameters
        ----------
        table : table of N rows
            A pandas or Polars data frame, a pyarrow Table or RecordBatch, a DuckDB relation,
            anything else with the Arrow PyCapsule interface, a mapping from names to arrays, or a
            list of mappings. Columns may stand in any order, and others may stand between them.
            An array feature ``emb[16]`` is a column ``emb`` of lists of 16 numbers, or the columns
            ``emb[0]`` … ``emb[15]``. Cells are integers, floats, booleans or decimals, and text
            where the feature has categories. All but pandas and Python's own need the extra
            ``arrow``.
        nulls : {"error", "nan"}, number, or mapping of column to one of them
            What a null becomes. In pandas NaN is a null; elsewhere it is a number like others.
        threads : int, optional
            How many threads work on it; None is every CPU that this process may use, as in
            `PredictConfig`. Small tables take one. The bits are the same.
        check_inputs : bool
            Whether a row that has what the model's `signature` does not expect is a bad row.
        as_table : bool
            Return a table of the same library, with the same index and row order: the columns to
            `keep`, then the outputs. What hands out Arrow data but is no Polars frame (a reader, a
            DuckDB relation) gives a pyarrow Table.
        keep : sequence of str
            Columns that go along unchanged; ``"*"`` is all of them. Needs `as_table`, as all that
            follows.
        outputs : sequence of O str, optional
            Names of the output columns: by default ``score``, or ``output_0``, ``output_1`` …
        on_bad_row : {"error", "null", "skip"}
            What becomes of a row that cannot be scored: it is an error, gets null outputs, or is
            left out. Null outputs are those of the library, and a score that is NaN is none of
            them: in pandas the columns are of the type ``Float32`` then, in NumPy masked arrays.

        Returns
        -------
        ndarray of float32, shape (N, O); with `as_table`, a table

        Raises
        ------
        InstModelError
            ``missing_column``, ``repeated_column``, ``invalid_cell``, ``list_length_mismatch``,
            ``null_value``, ``unknown_category``, ``inexact_key``, ``unexpected_value``,
            ``missing_signature``, ``column_count_mismatch``, ``invalid_table``, ``invalid_nulls``,
            ``repeated_feature``, ``missing_package``, ``invalid_outputs``,
            ``invalid_thread_count``, ``invalid_type``: with
            `column` and the first `row` at fault, counted from 0.

        Warns
        -----
        UserWarning
            Once, when the model does not name its features, so that columns count by position.
        """
        self.require_rows()
        count = parallel.checked_threads(threads)
        watch = self._check() if values.boolean(check_inputs, "check_inputs") else None
        if values.boolean(as_table, "as_table"):
            from instmodel.tables import options, results

            chosen = options.ScoreOptions(keep, outputs, nulls, on_bad_row)
            return results.scored_table(self, table, chosen, count, watch)
        given = {"keep": bool(keep), "outputs": outputs is not None}
        for name, is_given in {**given, "on_bad_row": on_bad_row != "error"}.items():
            if is_given:
                raise InputError("invalid_type", "needs as_table=True", field=name)
        from instmodel.tables import scoring

        return scoring.predict_table(self, table, nulls, count, watch)

    def _check(self) -> Check:
        """Return what finds rows bad that have what the signature does not expect."""
        from instmodel.signatures.expectations import Expectations
        from instmodel.signatures.violations import Check

        if self.signature is None:
            raise InputError(
                "missing_signature",
                "the model does not say what it expects: `Signature.from_data` makes that of data",
                field="check_inputs",
                expected="a model with a signature",
            )
        return Check(Expectations(self.signature, self.named_features))

    def predict_one(
        self,
        row: Any,
        nulls: str | float | Mapping[str, str | float] = "error",
    ) -> NDArray[np.float32]:
        """Compute the outputs of one row, given by name; a few microseconds.

        Parameters
        ----------
        row : mapping of str to number or text, named tuple, or pandas Series
            Also a dataclass, and a row of a record array, an Arrow struct, SQLite, SQLAlchemy or
            Spark. Others than the model's features do not matter. A list for an array feature; text
            for one with categories.
        nulls : {"error", "nan"}, number, or mapping of column to one of them
            What None becomes. NaN is a number, but in a Series a null, as elsewhere in pandas.

        Returns
        -------
        ndarray of float32, shape (O,)

        Raises
        ------
        InstModelError
            As `predict_table`.
        """
        from instmodel.tables import single

        if self._packer is None:
            self.require_rows()
            self._packer = single.packer_of(self)
        x = self._packer(row, nulls)
        return single.predict_one(self, row, nulls) if x is None else self.predict(x)

    def score_batches(
        self,
        batches: Iterable[Any],
        keep: Sequence[str] = (),
        outputs: Sequence[str] | None = None,
        nulls: str | float | Mapping[str, str | float] = "error",
        on_bad_row: Literal["error", "null", "skip"] = "error",
        *,
        by: str | Sequence[str] | None = None,
        order: str | None = None,
        states: StateStore | None = None,
        threads: int | None = None,
    ) -> Iterator[Any]:
        """Score Arrow record batches one by one, with columns found by name.

        Parameters
        ----------
        batches : iterable of pyarrow.RecordBatch
            All of one schema; or anything with the Arrow PyCapsule interface.
        keep : sequence of str
            Columns that go along unchanged, before the outputs.
        outputs : sequence of O str, optional
            Names of the output columns: by default ``score``, or ``output_0``, ``output_1`` …
        nulls : {"error", "nan"}, number, or mapping of column to one of them
            As in `predict_table`.
        on_bad_row : {"error", "null", "skip"}
            What becomes of a row that cannot be scored: it ends the work, gets null outputs, or
            is left out. What is wrong with the columns as a whole is always an error. Of a
            sequence, a bad row is no step.
        by, order, states
            For a recurrent model, and needed by it: as in `predict_events`, through all batches.
            `states` gets the states when all batches are scored, and nothing if that fails or
            nobody asks for the last one.
        threads : int, optional
            Of a recurrent model: how many threads work; None is every CPU that this process may
            use.

        Yields
        ------
        pyarrow.RecordBatch
            One for each batch, all of one schema; the outputs are float32.

        Raises
        ------
        InstModelError
            As `predict_table` and `predict_events`, and ``invalid_outputs``; rows count through
            all batches.
        """
        from instmodel.tables import batches as arrow_batches
        from instmodel.tables.options import ScoreOptions

        options = ScoreOptions(keep, outputs, nulls, on_bad_row)
        if by is None:
            self.require_rows()
            for name, value in {"order": order, "states": states, "threads": threads}.items():
                if value is not None:
                    raise InputError("invalid_type", "needs by=…", field=name)
            return arrow_batches.score_batches(self, batches, options)
        from instmodel.events import batches as event_batches
        from instmodel.events.scoring import EventScorer

        self.require_state()
        count = parallel.checked_threads(threads)
        events = EventScorer(self, by, order, states, count)
        return event_batches.score_batches(self, batches, options, events)

    def get_output(self, buffer: NDArray[np.float32], index: int) -> float:
        """Return one output value from a buffer that `predict_with_buffer` ran in.

        Raises
        ------
        InstModelError
            ``buffer_too_small``, ``invalid_type``, ``result_index_out_of_bounds``.
        """
        array = arrays.real_array(buffer, "buffer")
        if array.ndim != 1 or len(array) < self.required_memory:
            raise InputError(
                "buffer_too_small" if array.ndim == 1 else "invalid_type",
                "not a buffer of this model",
                field="buffer",
                expected=f"a vector of at least {self.required_memory} values",
                actual=f"shape {array.shape}",
            )
        index = values.integer_argument(index, "index")
        if not 0 <= index < self.output_size:
            raise InputError(
                "result_index_out_of_bounds",
                "no such output",
                field="index",
                expected=f"0 ≤ index < {self.output_size}",
                actual=index,
            )
        return float(array[self.output_index_start + index])

    def validate(
        self,
        inputs: ArrayLike,
        expected_outputs: ArrayLike,
        atol: float = DEFAULT_ATOL,
        rtol: float = DEFAULT_RTOL,
    ) -> float:
        """Check that the model reproduces known outputs.

        Parameters
        ----------
        inputs : array_like of shape (N, F); list of (T_i, F) for a recurrent model
            A data frame must have the columns that `predict` asks for.
        expected_outputs : array_like of shape (N, O); list of (T_i, O) for a recurrent model
            An array or a series (N,) if O is 1. NaN matches NaN.
        atol, rtol : float
            What passes is |actual - expected| ≤ atol + rtol · |expected|.

        Returns
        -------
        float
            The largest absolute error, 0 without cases.

        Raises
        ------
        InstModelError
            ``validation_mismatch`` with the worst value; ``validation_count_mismatch`` and the
            like when the cases do not fit the model; ``inexact_key``.
        """
        tolerance = Tolerance(atol, rtol)
        return validation.largest_error(
            self, self._checked.features, inputs, expected_outputs, tolerance
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (type(self), self.info, self._limits), self.__getstate__())

    def __getstate__(self) -> Any:
        """Return what users and subclasses have added; the document makes the rest anew."""
        state = object.__getstate__(self)
        added, slots = state if isinstance(state, tuple) else (state, None)
        added = {name: value for name, value in added.items() if name not in _MADE_ANEW}
        return (added, slots) if slots else added or None

    def _repr_html_(self) -> str:
        """Draw the model in a notebook."""
        from instmodel.reports.graph import html_of

        return html_of(self)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(features={self.feature_size}, outputs={self.output_size}, "
            f"instructions={len(self.structure.instructions)})"
        )


load = InstructionModel.load


def checked_model(value: Any) -> InstructionModel:
    """Return a model; refuse what is none, such as its path.

    Raises
    ------
    InputError
        ``invalid_type``.
    """
    if isinstance(value, InstructionModel):
        return value
    raise InputError(
        "invalid_type",
        "load the model first: instmodel.load(path)",
        field="model",
        expected="an InstructionModel",
        actual=type(value).__name__,
    )


def _tolerance(atol: float, rtol: float, validate: bool) -> Tolerance | None:
    """Return how far a model may be from its validation data, None if that does not run."""
    tolerance = Tolerance(atol, rtol)
    return tolerance if values.boolean(validate, "validate") else None


def _rebuild(
    kind: type[InstructionModel], info: InstructionModelInfo, limits: Limits
) -> InstructionModel:
    # Not by calling `kind`: a subclass may take other arguments, and its attributes come along.
    model = InstructionModel.__new__(kind)
    model._build(info, limits, None)
    return model
