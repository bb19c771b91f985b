"""Compare a model with another computation of the same outputs, on data of any size."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instmodel.base import arguments, arrays
from instmodel.base.features import texts_of
from instmodel.base.tolerance import DEFAULT_ATOL, DEFAULT_RTOL, Tolerance
from instmodel.base.values import wrong_type
from instmodel.errors import InputError
from instmodel.model import InstructionModel
from instmodel.tables.binding import Nulls
from instmodel.tables.rows import Batch, first_row, read_rows
from instmodel.tables.sample import Sample, histogram
from instmodel.tables.shared_text import SharedText
from instmodel.tables.unknown_text import UnknownText, UnknownTexts
from instmodel.verification.changes import Change
from instmodel.verification.coverage import Coverage, CoverageWatch
from instmodel.verification.differences import (
    Differences,
    OutputDifference,
    WorstRow,
)
from instmodel.verification.limits import NO_DIFFERENCE, Limits, Verdict, judge, limits_of
from instmodel.verification.options import options_of
from instmodel.verification.tracing import Divergence
from instmodel.verification.witnesses import (
    Recorded,
    Witness,
    check_outputs,
    engine_of,
    make_witness,
    predict,
)

# Rows that the histograms of scores are of, and their bins.
_SAMPLED_ROWS = 20_000
_SCORE_BINS = 40


@dataclass(frozen=True, slots=True)
class Scores:
    """How the values of one output are distributed, on both sides.

    Attributes
    ----------
    low, high : float
        The ends of the histograms: the least and the greatest finite value of both.
    actual, expected : list of int
        Rows in 40 equal bins, of at most 20,000 rows, a uniform sample.
    """

    low: float
    high: float
    actual: list[int]
    expected: list[int]


@dataclass(frozen=True, slots=True)
class Verification:
    """What `verify` found.

    Attributes
    ----------
    same : bool
        Whether every output of every row is within the tolerance.
    against : str
        What the model was compared with.
    rows, rows_different : int
    first_row : int
        The number of the first row where rows are shown: 1 for files, 0 for what is in memory. In
        `worst`, rows count from 0 in any case.
    tolerance : Tolerance
    inputs : list of str
        The column of each input; empty where the model names none.
    outputs : list of OutputDifference
    worst : list of WorstRow
        The worst first; rows that are equal to the bit are not among them.
    divergence : Divergence or None
        The first instruction at which the two part, for the worst row; None where they are the
        same, or where the engine does what the document says and the other side shows no buffers.
    note : str
        What `divergence` cannot say.
    histogram : list of list of int, (O, bins)
        Rows by absolute error: equal, below 1e-12, and a bin for each decade from there to 1e3.
    scores : list of Scores
        One for each output.
    seconds, seconds_against : float
        Time that the model and the other side took to compute; 0 for recorded values.
    digest, digest_against : str
        Of the document, and of the other one if it is compared with one; else empty.
    changes : list of Change
        Where these two digests differ: the numbers of the documents that do, as far as their
        instructions are of the same kinds; at most 50.
    difference : str
        From where on the instructions are of other kinds, or why that is not told.
    coverage : Coverage or None
        What the data reached in the model; None if it was not asked for.
    unknown_texts : list of UnknownText
        How much text of each feature with categories none of these knows.
    options : dict
        The arguments of `verify`; of what is in memory, the type.
    """

    same: bool
    against: str
    rows: int
    rows_different: int
    first_row: int
    tolerance: Tolerance
    inputs: list[str] = field(repr=False)
    outputs: list[OutputDifference]
    worst: list[WorstRow] = field(repr=False)
    divergence: Divergence | None
    note: str
    histogram: list[list[int]] = field(repr=False)
    scores: list[Scores] = field(repr=False)
    seconds: float
    seconds_against: float
    digest: str
    digest_against: str
    changes: list[Change] = field(repr=False)
    difference: str
    coverage: Coverage | None = field(repr=False)
    unknown_texts: list[UnknownText] = field(repr=False)
    options: dict[str, Any] = field(repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain data; not all of its floats are finite."""
        return dataclasses.asdict(self)

    def judge(self, limits: Limits | None = None) -> Verdict:
        """Return whether what was found is within limits.

        Parameters
        ----------
        limits : mapping, path-like or sequence of Limit, optional
            ``{"max": {"outputs.max_ulp": 4}, "min": {"rows": 1000}}``, a TOML file with these
            tables, or `instmodel.verification.limits.Limit`. Without one on `rows_different`, no
            row may differ by more than the tolerance.

        Raises
        ------
        InputError
            ``invalid_limit``; ``unknown_figure`` for what is no figure or was not computed.
        """
        asked = limits_of(limits)
        own = (NO_DIFFERENCE.figure, NO_DIFFERENCE.kind)
        if not any((limit.figure, limit.kind) == own for limit in asked):
            asked = [NO_DIFFERENCE, *asked]
        return judge(self.to_dict(), asked)


def verify(
    model: Any,
    data: Any = None,
    *,
    against: Any = None,
    expected: Any = None,
    atol: float = DEFAULT_ATOL,
    rtol: float = DEFAULT_RTOL,
    worst: int = 10,
    coverage: bool = True,
    nulls: Nulls | None = None,
    threads: int | None = None,
    batch_rows: int | None = None,
    progress: Callable[[float, int], None] | None = None,
) -> Verification:
    """Compare a model with another computation of the same outputs.

    Parameters
    ----------
    model : InstructionModel, InstructionModelInfo or path-like
        Its validation data is not run, unless it is what it is compared with.
    data : path-like or array_like of shape (N, F), optional
        A table of any size in .csv or .npy, with the extra ``arrow`` also Parquet, Arrow, JSON
        lines and folders of them; or an array; by default the validation data.
    against : optional
        Another model (InstructionModel, InstructionModelInfo, the path of one), the path of an
        ``.onnx`` file, which ONNX Runtime runs, ``"reference"``: the float64 interpreter,
        ``"gpu"``: the model itself on a GPU, or a function of inputs (N, F).
    expected : sequence of str or int, or array_like of shape (N, O), optional
        Recorded outputs instead: the columns of the file, or an array beside an array. In an NPY
        file they follow the inputs. Without `against` and `expected` it is the reference.
    atol, rtol : float
        Two numbers are the same if |a - b| ≤ atol + rtol · |b|. NaN is the same as NaN.
    worst : int
        How many of the worst rows to keep.
    nulls : str, number or mapping, optional
        What a null among the inputs becomes: ``"error"``, ``"nan"``, a number, or one of them for
        each column, as for `InstructionModel.predict_table`; an empty cell of CSV is a null then.
        By default a null is an error in files, and NaN in tables in memory. A null that is
        a recorded output is never filled.
    threads, batch_rows : int, optional
    progress : callable, optional
        Gets the part that is done, 0 to 1, and the rows so far.

    Returns
    -------
    Verification

    Raises
    ------
    InstModelError
        The two cannot be compared: ``output_size_mismatch``, ``column_mismatch``, a broken model or
        table, no rows.
    OSError
        A file cannot be read.
    """
    options = options_of(locals())  # nothing but the arguments yet
    engine = engine_of(model)
    text = SharedText(engine, engine, np.arange(engine.feature_size))
    unknown = UnknownTexts(text.reader.named_features)
    tolerance = Tolerance(atol, rtol)
    worst = arguments.count(worst, "worst", least=0)
    with contextlib.ExitStack() as opened:
        data, witness = _sides(engine, data, against, expected, threads, opened)
        rows = read_rows(
            data,
            text.reader,
            witness.columns,
            batch_rows,
            key_inputs=witness.key_inputs,
            nulls=nulls,
        )
        batches = opened.enter_context(contextlib.closing(rows))
        watch = CoverageWatch(engine) if coverage else None
        found = _Pass(engine, witness, tolerance, worst, threads, watch)
        for batch in batches:
            unknown.add(batch.inputs)
            found.add(replace(batch, inputs=text.first_rows(batch.inputs)))
            if progress:
                progress(batch.fraction, found.differences.rows)
    differences = found.differences
    if not differences.rows:
        raise InputError("no_rows", "there are no rows to compare on", field="data")
    divergence, note = _first_difference(differences, witness, tolerance)
    changes, difference = witness.changes()
    return Verification(
        same=differences.rows_different == 0,
        against=witness.name,
        rows=differences.rows,
        rows_different=differences.rows_different,
        first_row=first_row(data),
        tolerance=tolerance,
        inputs=engine.columns,
        outputs=differences.outputs(),
        worst=[
            replace(row, texts=texts_of(row.inputs, engine.named_features))
            for row in differences.worst[:worst]
        ],
        divergence=divergence,
        note=note,
        histogram=differences.histogram.tolist(),
        scores=found.scores(),
        seconds=found.seconds,
        seconds_against=found.seconds_against,
        digest=engine.digest,
        digest_against=witness.digest,
        changes=changes,
        difference=difference,
        coverage=watch.result() if watch else None,
        unknown_texts=unknown.found(),
        options=options,
    )


def _sides(
    engine: InstructionModel,
    data: Any,
    against: Any,
    expected: Any,
    threads: int | None,
    opened: contextlib.ExitStack,
) -> tuple[Any, Witness]:
    """Return the data to read, and what the model is compared with on it."""
    name = "recorded values"
    if expected is not None:
        if against is not None:
            raise InputError("invalid_type", "either against or expected", field="expected")
        if data is None:
            raise InputError(
                "missing_field", "recorded outputs need the data they belong to", field="data"
            )
    elif data is None:
        data, outputs = _validation_data(engine)
        if against is None:
            expected, name = outputs, "its validation data"
    if expected is None:
        return data, make_witness(against, engine, threads, opened)
    data, columns = _beside(data, expected)
    check_outputs(len(columns), engine.output_size)
    return data, Recorded(engine, name, columns)


def _validation_data(engine: InstructionModel) -> tuple[Any, Any]:
    cases = engine.structure.validation_data
    if cases is None or not cases.inputs:
        raise InputError(
            "missing_field", "the model has no validation data, and no data is given", field="data"
        )
    return np.stack(cases.inputs), np.stack(cases.expected_outputs)


def _beside(data: Any, expected: Any) -> tuple[Any, Sequence[str | int]]:
    """Return a table that holds recorded outputs, and the columns that they are in it."""
    if isinstance(data, str | os.PathLike):
        if isinstance(expected, str):
            return data, [expected]
        try:
            return data, list(expected)
        except TypeError:
            raise wrong_type(expected, "expected", "columns of the file") from None
    inputs = arrays.real_array(data, "data")  # keys of maps need more than float32
    outputs = np.asarray(arrays.real_array(expected, "expected"), np.float32)
    if inputs.ndim != 2 or not outputs.ndim or len(outputs) != len(inputs):
        raise InputError(
            "input_size_mismatch",
            "not as many outputs as rows of data",
            field="expected",
            expected=f"{inputs.shape[0] if inputs.ndim else 0} rows",
            actual=f"shape {outputs.shape}",
        )
    outputs = outputs.reshape(len(outputs), math.prod(outputs.shape[1:]))
    return np.concatenate([inputs, outputs], axis=1), list(range(outputs.shape[1]))


class _Pass:
    """What one pass over the rows finds: differences, how scores are distributed, speeds."""

    def __init__(
        self,
        engine: InstructionModel,
        witness: Witness,
        tolerance: Tolerance,
        worst: int,
        threads: int | None,
        watch: CoverageWatch | None,
    ) -> None:
        self._engine, self._witness, self._threads = engine, witness, threads
        self._watch = watch
        # At least one row is kept: it tells where the two part.
        self.differences = Differences(engine.output_size, tolerance, max(1, worst))
        self._sample = Sample(_SAMPLED_ROWS, 2 * engine.output_size)
        self.seconds = self.seconds_against = 0.0

    def add(self, batch: Batch) -> None:
        """Add what both sides make of some rows."""
        started = time.perf_counter()
        actual = predict(self._engine, batch.inputs, self._threads)
        between = time.perf_counter()
        expected = self._witness.scores(batch)
        self.seconds += between - started
        if self._witness.computes:
            self.seconds_against += time.perf_counter() - between
        check_outputs(expected.shape[1], self._engine.output_size)
        self.differences.add(batch.inputs, actual, expected)
        self._sample.add(np.hstack([actual, expected]))
        if self._watch:
            self._watch.add(batch.inputs)

    def scores(self) -> list[Scores]:
        """Return how the values of each output are distributed."""
        outputs = self._engine.output_size
        return [_scores(self._sample.rows[:, [i, outputs + i]]) for i in range(outputs)]


def _scores(pair: NDArray[np.float64]) -> Scores:
    """Return the histograms of two columns (N, 2)."""
    finite = pair[np.isfinite(pair)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    counts = [histogram(side[np.isfinite(side)], _SCORE_BINS, low, high) for side in pair.T]
    return Scores(low, high, *counts)


def _first_difference(
    differences: Differences, witness: Witness, tolerance: Tolerance
) -> tuple[Divergence | None, str]:
    """Return where the two part in the worst row, or why that cannot be told."""
    if not differences.rows_different:
        return None, ""
    row = np.array(differences.worst[0].inputs, np.float32)
    divergence = witness.divergence(row, tolerance)
    if divergence is not None:
        return divergence, ""
    return None, (
        "the model computes what its document says; the difference is on the other side, "
        "or in what was imported"
    )
