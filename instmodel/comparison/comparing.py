"""Compare two models on data: how scores move, what decisions flip, which fits labels better."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instmodel.base import arguments
from instmodel.base.extras import require
from instmodel.base.values import integer_argument
from instmodel.comparison.groups import Group, Groups, OtherGroups
from instmodel.comparison.metrics import TASKS, AgainstLabels, BothFigures
from instmodel.comparison.moves import Distribution, Mover, Moves
from instmodel.errors import InputError
from instmodel.tables.binding import Nulls
from instmodel.tables.rows import first_row, input_order, read_rows
from instmodel.verification.sample import Sample
from instmodel.verification.witnesses import engine_of, predict

Floats = NDArray[np.float64]

_PSI_BINS = 10
# A share of 0 would make the logarithm infinite.
_PSI_FLOOR = 1e-6


@dataclass(frozen=True, slots=True)
class Comparison:
    """What `compare` found.

    Attributes
    ----------
    rows : int
    first_row : int
        The number of the first row where rows are shown: 1 for files, 0 for what is in memory. In
        `movers`, rows count from 0 in any case.
    sampled_rows : int
        How many rows the distributions, `psi`, `rank_correlation` and the metrics are of.
    output : int
        The output whose scores move.
    threshold : float
    old, new : Distribution
    psi : float
        Population stability index over ten bins of equal share of the old scores.
    rank_correlation : float
        Spearman's.
    flips, flips_up, flips_down : int
        Rows whose decision changes; up: from below the threshold to it or above. With several
        outputs, a decision is the largest output, and up and down are 0.
    largest_move, mean_move : float
        |new - old|.
    movers : list of Mover
    groups : list of Group
        Empty without `by`; the 50 with the most rows.
    other_groups : OtherGroups or None
        The rest of them together.
    task : str or None
    old_metrics, new_metrics : dict
        See `instmodel.comparison.metrics.label_metrics`; empty without labels.
    """

    rows: int
    first_row: int
    sampled_rows: int
    output: int
    threshold: float
    old: Distribution = field(repr=False)
    new: Distribution = field(repr=False)
    psi: float
    rank_correlation: float
    flips: int
    flips_up: int
    flips_down: int
    largest_move: float
    mean_move: float
    movers: list[Mover] = field(repr=False)
    groups: list[Group] = field(repr=False)
    other_groups: OtherGroups | None = field(repr=False)
    task: str | None
    old_metrics: dict[str, Any] = field(repr=False)
    new_metrics: dict[str, Any] = field(repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain data."""
        return dataclasses.asdict(self)


def compare(
    old: Any,
    new: Any,
    data: Any,
    *,
    labels: str | int | None = None,
    by: str | int | None = None,
    output: int = -1,
    threshold: float = 0.5,
    tolerance: float = 1.0,
    task: str | None = None,
    movers: int = 10,
    most_rows: int = 1_000_000,
    nulls: Nulls | None = None,
    threads: int | None = None,
    batch_rows: int | None = None,
    progress: Callable[[float, int], None] | None = None,
) -> Comparison:
    """Compare a model with the one that is to take its place.

    Parameters
    ----------
    old, new : InstructionModel, InstructionModelInfo or path-like
        Of the same features, in any order if both name them, and as many outputs.
    data : path-like or array_like
        A table as for `instmodel.verify`. Columns of labels and groups are found by name, but in
        NPY and arrays they follow the inputs in this order.
    labels : str or int, optional
        The column of the truth: 0 and 1 for one output, the number of the class for several, or a
        value.
    by : str or int, optional
        A column of text, numbers, booleans or dates; figures come for each of its values, as in a
        group-by of pandas, and for the rows where it is missing. In CSV, values that are all
        numbers are told apart as numbers. At most 50,000 values.
    output : int
        The output whose scores are looked at; the last one by default.
    threshold : float
        A score of at least this is a decision.
    tolerance : float
        With labels that are values, what counts as close.
    task : {"binary", "multiclass", "regression"}, optional
        What the labels are; by default as they look.
    movers : int
        How many of the rows that move most to keep.
    most_rows : int
        Beyond this many rows, what needs all rows at once comes from a uniform sample of them.
    nulls : str, number or mapping, optional
        What a null among the inputs becomes: ``"error"``, ``"nan"``, a number, or one of them for
        each column, as for `InstructionModel.predict_table`; an empty cell of CSV is a null then.
        By default a null is an error in files, and NaN in tables in memory. A null that is
        a label is never filled.
    threads, batch_rows : int, optional
    progress : callable, optional
        Gets the part that is done, 0 to 1, and the rows so far.

    Raises
    ------
    InstModelError
        The models or the data do not fit; ``missing_package`` without the extra ``report``.
    """
    require("sklearn", "report")
    pair = _Pair(old, new, threads)
    _check_question(pair.outputs, output, threshold, task)
    tolerance = arguments.real(tolerance, "tolerance", least=0)
    movers = arguments.count(movers, "movers", least=0)
    most_rows = arguments.count(most_rows, "most_rows")
    column = output % pair.outputs
    moves, groups = Moves(column, threshold, movers), Groups(column, threshold)
    extra = [] if labels is None else [labels]
    # Old scores, new scores, label, code of the group.
    sample = Sample(most_rows, 2 * pair.outputs + len(extra) + (by is not None))
    with contextlib.closing(
        read_rows(data, pair.old, extra, batch_rows, by, pair.key_inputs, nulls)
    ) as batches:
        for batch in batches:
            before, after = pair.scores(batch.inputs)
            moves.add(batch, before, after)
            columns: list[NDArray[Any]] = [before, after, batch.extra]
            if batch.keys is not None:
                columns.append(groups.add(batch.keys, before, after)[:, None])
            sample.add(np.hstack(columns))
            if progress:
                progress(batch.fraction, sample.seen)
    if not sample.seen:
        raise InputError("no_rows", "there are no rows to compare on", field="data")

    before, after, beside = np.split(sample.rows, [pair.outputs, 2 * pair.outputs], axis=1)
    a, b = before[:, column], after[:, column]
    judged = None
    if labels is not None:
        truth = _finite(beside[:, 0], labels)
        judged = AgainstLabels(truth, before, after, column, task, threshold, tolerance)

    def of_codes(codes: NDArray[np.intp]) -> BothFigures:
        rows = np.isin(beside[:, -1], codes)
        return judged.numbers(rows) if judged and rows.any() else ({}, {})

    largest, others = groups.largest(of_codes)
    ends = np.array([min(moves.least), max(moves.greatest)])
    old_metrics, new_metrics = judged.figures() if judged else ({}, {})
    return Comparison(
        rows=sample.seen,
        first_row=first_row(data),
        sampled_rows=len(a),
        output=column,
        threshold=threshold,
        old=moves.distribution(0, a, ends),
        new=moves.distribution(1, b, ends),
        psi=population_stability_index(a, b),
        rank_correlation=_rank_correlation(a, b),
        flips=moves.flips,
        flips_up=moves.flips_up,
        flips_down=moves.flips_down,
        largest_move=moves.largest,
        mean_move=moves.total / sample.seen,
        movers=moves.movers,
        groups=largest,
        other_groups=others,
        task=judged.task if judged else None,
        old_metrics=old_metrics,
        new_metrics=new_metrics,
    )


class _Pair:
    """Two models of the same features, in any order if both name them, and as many outputs."""

    def __init__(self, old: Any, new: Any, threads: int | None) -> None:
        self.old, self._new = engine_of(old), engine_of(new)
        self._order = input_order(self.old, self._new)
        self._threads = threads
        self.outputs = self.old.output_size
        if self._new.output_size != self.outputs:
            raise InputError(
                "output_size_mismatch",
                "the models have different numbers of outputs",
                expected=self.outputs,
                actual=self._new.output_size,
            )
        # Of the new model, as the old one counts them.
        self.key_inputs = self._order[list(self._new.key_inputs)].tolist()

    def scores(self, inputs: NDArray[np.float32]) -> tuple[Floats, Floats]:
        """Return what both make (N, O) of inputs (N, F) in the order of the old model."""
        same = np.ascontiguousarray(inputs[:, self._order])
        old = predict(self.old, inputs, self._threads)
        new = predict(self._new, same, self._threads)
        return old.astype(np.float64), new.astype(np.float64)


def _check_question(outputs: int, output: int, threshold: float, task: str | None) -> None:
    """Raise unless the arguments of `compare` suit models of so many outputs."""
    if task is not None:
        arguments.choice(task, "task", TASKS)
    if task == "multiclass" and outputs == 1:
        raise InputError(
            "invalid_type",
            "one output tells no classes apart",
            field="task",
            expected="binary or regression",
            actual=task,
        )
    if not -outputs <= integer_argument(output, "output") < outputs:
        raise InputError(
            "result_index_out_of_bounds",
            "no such output",
            field="output",
            expected=f"0 … {outputs - 1}",
            actual=output,
        )
    if not math.isfinite(arguments.real(threshold, "threshold")):
        raise InputError(
            "non_finite_value", "a threshold is a number", field="threshold", actual=threshold
        )


def _finite(truth: Floats, column: str | int) -> Floats:
    """Return the labels, none of which is missing or infinite."""
    unfit = int(np.sum(~np.isfinite(truth)))
    if unfit:
        raise InputError(
            "non_finite_value",
            f"{unfit} of {len(truth)} rows have no finite label; leave them out",
            column=str(column),
        )
    return truth


def population_stability_index(old: Floats, new: Floats) -> float:
    """Return Σ (q - p) · ln(q / p) over ten bins, each with a tenth of the old scores.

    p and q are the shares of the old and the new scores in a bin; equal scores share a bin, so
    there may be fewer bins.
    """
    edges = np.unique(np.quantile(old, np.linspace(0, 1, _PSI_BINS + 1)[1:-1]))
    shares = []
    for scores in (old, new):
        counts = np.bincount(np.searchsorted(edges, scores, side="right"), minlength=len(edges) + 1)
        shares.append(np.maximum(counts / len(scores), _PSI_FLOOR))
    p, q = shares
    return float(np.sum((q - p) * np.log(q / p)))


def _rank_correlation(a: Floats, b: Floats) -> float:
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")  # nothing to rank
    return float(require("scipy.stats", "report").spearmanr(a, b).statistic)
