"""Compare two models on data: how scores move, what decisions flip, which fits labels better."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instmodel.base.extras import require
from instmodel.comparison.decisions import AT_THRESHOLD, Decision
from instmodel.comparison.dependence import MOST_ROWS as DEPENDENCE_ROWS
from instmodel.comparison.dependence import Dependence, partial_dependence
from instmodel.comparison.findings import Comparison
from instmodel.comparison.gathering import Gathered
from instmodel.comparison.groups import Grouping
from instmodel.comparison.importance import MOST_ROWS as IMPORTANCE_ROWS
from instmodel.comparison.importance import Importance, permutation_importance
from instmodel.comparison.intervals import auc_gain
from instmodel.comparison.metrics import AgainstLabels, BothFigures
from instmodel.comparison.moves import Mover
from instmodel.comparison.pair import Pair
from instmodel.comparison.question import Question
from instmodel.comparison.reference import InputPsi, Reference, against_reference
from instmodel.errors import InputError
from instmodel.signatures.population import population_bins, total
from instmodel.tables.binding import Nulls
from instmodel.tables.rows import Batch, first_row, read_rows
from instmodel.verification.coverage import CoverageWatch
from instmodel.verification.options import options_of

Floats = NDArray[np.float64]


def compare(
    old: Any,
    new: Any,
    data: Any,
    *,
    labels: str | int | None = None,
    positive: str | float | None = None,
    classes: Sequence[str | float] | None = None,
    by: str | int | Sequence[str | int] | None = None,
    reference: Any = None,
    output: int | None = None,
    threshold: float | None = None,
    approve: str | None = None,
    tolerance: float = 1.0,
    task: str | None = None,
    movers: int = 10,
    importance: bool = False,
    dependence: int = 0,
    coverage: bool = True,
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
        value; or the name of the class, if the models know their classes or are told them.
    positive : str or float, optional
        The label that is 1; the other one is 0.
    classes : sequence of str or float, optional
        The names of the classes, in the order of the outputs; of one output two, the second of
        which its score is of. By default ``metadata["classes"]`` of the models. Where these have
        names already, the names of the labels 0, 1 …
    by : str, int or sequence of these, optional
        Columns of text, numbers, booleans or dates; figures come for each value of each, as in a
        group-by of pandas, and for the rows where it is missing. In CSV, values that are all
        numbers are told apart as numbers. At most 50,000 values.
    reference : path-like or array_like, optional
        Another table of the inputs, such as the training data or that of last month: how inputs and
        scores have shifted since. An array or NPY holds the inputs alone.
    output : int, optional
        The output whose scores are looked at; by default that of `positive`, or the last one.
    threshold : float, optional
        A score of at least this is a decision; by default 0.5, if all scores lie between 0 and 1.
        Of several outputs, the largest decides, unless a threshold is given.
    approve : {"above", "below"}, optional
        On which side of the threshold an applicant is approved, for rates of approval.
    tolerance : float
        With labels that are values, what counts as close.
    task : {"binary", "multiclass", "regression"}, optional
        What the labels are; by default as they look.
    movers : int
        How many of the rows that move most to keep.
    importance : bool
        Whether to shuffle each input of up to 10,000 rows, to see how much it matters.
    dependence : int
        For so many of the inputs that matter most, how the mean score follows them.
    coverage : bool
        Whether to watch what the data reaches in the new model.
    most_rows : int
        Beyond this many rows, what needs all rows at once comes from a uniform sample of them, a
        smaller one where rows have many outputs.
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
    options = options_of(locals())  # nothing but the arguments yet
    require("sklearn", "report")
    pair = Pair(old, new, threads)
    question = Question.of(
        pair,
        labels=labels,
        positive=positive,
        classes=classes,
        by=by,
        output=output,
        threshold=threshold,
        approve=approve,
        tolerance=tolerance,
        task=task,
        movers=movers,
        dependence=dependence,
        most_rows=most_rows,
    )
    watch = CoverageWatch(pair.new, question.most_rows) if coverage else None
    wide = reference is not None or importance or question.dependence > 0
    rows = Gathered(pair, question, wide, watch)
    batches = read_rows(data, pair.reader, (), batch_rows, question.keys, pair.key_inputs, nulls)
    _gather(rows, batches, progress)

    column, moves = question.column, rows.moves
    before, after = rows.scores()
    a, b = before[:, column], after[:, column]
    ends = np.array([min(moves.least), max(moves.greatest)])
    truth, names = rows.truth() or (None, None)
    task, decision = question.settled(truth, names, moves)
    at = decision.threshold if decision.kind == AT_THRESHOLD else None
    decided = decision.kind is not None
    approved = [decision.approved(int(side), rows.seen) for side in moves.chosen]
    approval = [None if count is None else count / rows.seen for count in approved]
    judged = None
    if truth is not None:
        judged = AgainstLabels(truth, before, after, column, str(task), at, question.tolerance)
    old_metrics, new_metrics = judged.figures() if judged else ({}, {})
    groupings = [_grouping(rows, place, decision, judged) for place in range(len(question.by))]
    shift: tuple[Reference | None, list[InputPsi]] = (None, [])
    if reference is not None:
        inputs, _ = rows.inputs()
        shift = against_reference(
            reference, pair, column, inputs, (a, b), question.most_rows, batch_rows, nulls
        )
    explained: tuple[Importance | None, list[Dependence]] = (None, [])
    if importance or question.dependence:
        explained = _explained(rows, pair, task, column, question.dependence)
    bins = population_bins(a, b)
    return Comparison(
        rows=rows.seen,
        first_row=first_row(data),
        sampled_rows=len(a),
        output=column,
        decision=decision.kind,
        threshold=at,
        classes=names,
        old=moves.distribution(0, a, ends),
        new=moves.distribution(1, b, ends),
        psi=total(bins),
        psi_bins=bins,
        rank_correlation=_rank_correlation(a, b),
        flips=moves.flips if decided else None,
        flips_up=moves.flips_up if decided else None,
        flips_down=moves.flips_down if decided else None,
        old_approval_rate=approval[0],
        new_approval_rate=approval[1],
        largest_move=moves.largest,
        mean_move=moves.total / rows.seen,
        columns=pair.columns,
        movers=[_with_text(mover, pair) for mover in moves.movers],
        groups=groupings[0].groups if groupings else [],
        other_groups=groupings[0].other_groups if groupings else None,
        groupings=groupings,
        task=task if judged else None,
        tolerance=question.tolerance if judged and task == "regression" else None,
        old_metrics=old_metrics,
        new_metrics=new_metrics,
        auc_gain=auc_gain(truth, a, b) if truth is not None and "ks" in old_metrics else None,
        reference=shift[0],
        input_psi=shift[1],
        importance=explained[0],
        dependence=explained[1],
        coverage=watch.result() if watch else None,
        unknown_texts=rows.unknown.found(),
        options=options,
    )


def _gather(
    rows: Gathered,
    batches: Generator[Batch, None, None],
    progress: Callable[[float, int], None] | None,
) -> None:
    with contextlib.closing(batches):
        for batch in batches:
            rows.add(batch)
            if progress:
                progress(batch.fraction, rows.seen)
    if not rows.seen:
        raise InputError("no_rows", "there are no rows to compare on", field="data")


def _with_text(mover: Mover, pair: Pair) -> Mover:
    """Return a mover with the text that its numbers stand for."""
    texts = {name: pair.text(place, mover.inputs[place]) for place, name in enumerate(pair.columns)}
    return replace(
        mover,
        inputs=pair.as_old(mover.inputs),
        texts={name: text for name, text in texts.items() if text is not None},
    )


def _grouping(
    rows: Gathered, place: int, decision: Decision, judged: AgainstLabels | None
) -> Grouping:
    """Return the figures of the groups of one column."""
    of_row = rows.codes(place)

    def figures(codes: NDArray[np.intp]) -> BothFigures:
        chosen = np.isin(of_row, codes)
        return judged.numbers(chosen) if judged and chosen.any() else ({}, {})

    return rows.groups[place].found(decision, figures)


def _explained(
    rows: Gathered, pair: Pair, task: str | None, column: int, dependence: int
) -> tuple[Importance, list[Dependence]]:
    """Return how much each input matters, and how the score follows those that matter most."""
    inputs, truth = rows.inputs()
    rng = np.random.default_rng(0)
    few = rng.permutation(len(inputs))[:IMPORTANCE_ROWS]
    table = inputs[few].astype(np.float32)
    importance = permutation_importance(
        pair, table, None if truth is None else truth[few], task, column
    )
    return importance, partial_dependence(
        pair, table[:DEPENDENCE_ROWS], importance, dependence, column
    )


def _rank_correlation(a: Floats, b: Floats) -> float:
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")  # nothing to rank
    return float(require("scipy.stats", "report").spearmanr(a, b).statistic)
