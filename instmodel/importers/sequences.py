"""What importers of recurrent models do: compare them with their source, step by step."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instmodel import reference
from instmodel.base import arrays
from instmodel.base.features import parse_feature_names
from instmodel.base.tolerance import Tolerance, absolute_errors
from instmodel.document.schema import InstructionModelInfo
from instmodel.document.structure import ValidationData
from instmodel.errors import DocumentError, InputError, ValidationDataError
from instmodel.importers.common import TOLERANCE, Floats, likely_rows
from instmodel.importers.expressions import Value
from instmodel.importers.strange import HELD, learned_values, strange_rows
from instmodel.model import InstructionModel

Sequences = list[NDArray[np.float32]]

# Sequences on which an import is compared with its source, and how many steps the longest has.
CHECKED_SEQUENCES, LONGEST = 24, 40
# Values of these together: of long ones, fewer are compared.
_CHECKED_VALUES = 1 << 24
# Sequences that the model keeps, and how many steps they have together, if they can be as short.
_KEPT_SEQUENCES, _KEPT_STEPS = 4, 48
# Steps of a sequence with a strange one, and which one that is.
_ODD_STEPS, _ODD = 6, 2


def compared_sequences(
    info: InstructionModelInfo,
    output: Value,
    leaves: Sequence[Value],
    sample: Any,
    run: Callable[[NDArray[np.float32]], Any],
    *,
    last: bool,
    count: int = 0,
    fixed: Sequence[int] = (),
    whole: Sequence[bool] | None = None,
) -> InstructionModelInfo:
    """Compare the document of a recurrent graph with the graph itself, and keep validation data.

    Compared are random sequences of many lengths, and some with a strange step: see
    `strange_rows`. Those with NaN or infinities are compared, but not kept.

    Parameters
    ----------
    info : InstructionModelInfo
        IN/OUT: gets `validation_data`.
    output : Value
    leaves : sequence of Value
        The inputs of the source.
    sample : sequence of array_like, (T, F) each, optional
        The sequences to compare on, by default likely ones.
    run : callable
        Returns what the source computes for sequences (N, T, F) of one length: (N, T, O), or
        (N, O) if it computes the last step alone.
    last : bool
        Which of the two. The source then is run on every beginning of a sequence.
    count : int
        How many steps the source takes, 0 for any number.
    fixed : sequence of int
        Columns of which the source takes one number for all steps of a sequence.
    whole : sequence of bool, optional
        Whether the source takes whole numbers, for each leaf; by default as the leaf says.

    Raises
    ------
    InstModelError
        ``import_mismatch``: the model is not what the source is.
    """
    given = [leaf.whole for leaf in leaves] if whole is None else whole
    sequences = _samples(
        sample, info, sum(leaf.size for leaf in leaves), count, _likely(output, leaves, given)
    )
    sequences = [_held(sequence, fixed) for sequence in sequences]
    expected = after_each_step(run, sequences, last=last, count=count)
    model = InstructionModel(info, validate=False)
    checked = slice(-1, None) if last and count else slice(None)
    wanted = np.concatenate([item[checked] for item in expected])
    if wanted.shape[1] != model.output_size:
        raise ValidationDataError(
            "import_mismatch",
            "the source has another number of outputs than what was imported",
            expected=wanted.shape[1],
            actual=model.output_size,
        )
    scale = np.maximum(1.0, np.abs(np.where(np.isfinite(wanted), wanted, 0.0)).max(axis=0))
    actual = [np.asarray(item, np.float64) for item in model.predict_sequences(sequences)]
    for computed, one in zip(actual, expected, strict=True):
        _compare(computed[checked], one[checked], scale)
    strange = _Strange(output, leaves, given, scale, fixed)
    _compare_strange(model, run, sequences, strange, last, count)
    if last and count:
        # Of the steps before the last, the source says nothing; the reference says what they are.
        exact, _ = reference.predict_sequences(info, sequences)
        expected = [
            np.concatenate([before[:-1], after[-1:]])
            for before, after in zip(exact, expected, strict=True)
        ]
    info.validation_data = _kept(sequences, expected, actual)
    return info


def after_each_step(
    run: Callable[[NDArray[np.float32]], Any], sequences: Sequences, *, last: bool, count: int = 0
) -> list[Floats]:
    """Return what a source computes after each step of sequences (T, F): (T, O) each.

    NaN where it is not known: before the last step of a source that computes that alone, and takes
    no other number of steps. For the parameters see `compared_sequences`.
    """
    lengths = [len(sequence) for sequence in sequences]
    if count and set(lengths) != {count}:
        raise InputError(
            "input_size_mismatch",
            "the source takes sequences of one length",
            expected=f"{count} steps",
            actual=f"{min(lengths)} to {max(lengths)}",
        )
    runs = [count] if count else range(1, max(lengths) + 1) if last else sorted(set(lengths))
    found: dict[int, Floats] = {}
    for length in runs:
        members = [i for i, n in enumerate(lengths) if (n >= length if last else n == length)]
        if not members:
            continue
        computed = np.asarray(run(np.stack([sequences[i][:length] for i in members])), np.float64)
        for i, part in zip(members, computed, strict=True):
            steps = found.setdefault(i, np.full((lengths[i], part.shape[-1]), np.nan))
            steps[length - 1 if last else slice(None)] = part
    return [found[i] for i in range(len(sequences))]


def _likely(
    output: Value, leaves: Sequence[Value], whole: Sequence[bool]
) -> Callable[[np.random.Generator, int], Floats]:
    return lambda rng, count: likely_rows(output, leaves, rng, count, whole)


def _samples(
    given: Any,
    info: InstructionModelInfo,
    size: int,
    count: int,
    make: Callable[[np.random.Generator, int], Floats],
) -> Sequences:
    """Return the sequences to compare on: the caller's, or such as `make` draws the rows of."""
    if given is None:
        rng = np.random.default_rng(0)
        lengths = rng.integers(1, LONGEST + 1, CHECKED_SEQUENCES)
        lengths[:2] = 1, LONGEST
        if count:
            lengths = np.full(_most(CHECKED_SEQUENCES, count, info), count)
        rows = make(rng, int(lengths.sum())).astype(np.float32)
        return np.split(rows, np.cumsum(lengths)[:-1])
    found = []
    for item in given:
        arrays.check_columns(item, parse_feature_names(info.features or []))
        array = arrays.as_float32(arrays.real_array(item, "sample"))
        if array.ndim != 2 or array.shape[1] != size or len(array) != (count or max(1, len(array))):
            raise DocumentError(
                "input_size_mismatch",
                "a sequence of the sample does not fit the model",
                field="sample",
                expected=f"shape ({count or 'steps'}, {size})",
                actual=f"shape {array.shape}",
            )
        found.append(array)
    if not found:
        raise DocumentError("input_size_mismatch", "the sample has no sequence", field="sample")
    return found


def _most(wanted: int, steps: int, info: InstructionModelInfo) -> int:
    """Return how many sequences of so many steps are compared."""
    return max(1, min(wanted, _CHECKED_VALUES // (steps * sum(info.buffer_sizes))))


def _held(sequence: NDArray[np.float32], fixed: Sequence[int]) -> NDArray[np.float32]:
    """Return a sequence in which some columns stay what they are at the first step."""
    held = sequence.copy()
    held[:, fixed] = held[0, fixed]
    return held


def _compare(actual: Floats, wanted: Floats, allowed: Floats) -> None:
    """Refuse what is farther from a sequence of the source, (T, O), than is allowed."""
    held = np.isfinite(allowed)
    errors = absolute_errors(actual, wanted)
    relative = np.where(held, errors / np.where(held, allowed, 1.0), 0.0)
    if relative.max() > TOLERANCE:
        step, column = (int(i) for i in np.unravel_index(np.argmax(relative), relative.shape))
        raise ValidationDataError(
            "import_mismatch",
            f"output {column} after step {step} of a sequence: what was imported does not compute "
            "what its source does",
            expected=wanted[step, column],
            actual=actual[step, column],
        )


class _Strange:
    """What strange sequences are made of, and how far off the model may be: `scale` times more."""

    def __init__(
        self, output: Value, leaves: Sequence[Value], whole: Sequence[bool], scale: Floats,
        fixed: Sequence[int],
    ) -> None:  # fmt: skip
        self.scale, self.fixed = scale, list(fixed)  # an empty tuple would choose all columns
        self._values = learned_values(output, leaves)
        columns = np.repeat(whole, [leaf.size for leaf in leaves])
        self._whole = np.flatnonzero(columns).tolist()

    def rows(self, usual: NDArray[np.float32]) -> NDArray[np.float32]:
        return strange_rows(usual, self._values, self._whole)


def _compare_strange(
    model: InstructionModel,
    run: Callable[[NDArray[np.float32]], Any],
    sequences: Sequences,
    strange: _Strange,
    last: bool,
    count: int,
) -> None:
    """Compare sequences with a strange step.

    The model may say NaN where the source says a number, which has rules of its own for NaN; it
    must not say a number where the source says NaN, or refuses the sequence.
    """
    usual = np.concatenate(sequences)
    steps = count or _ODD_STEPS
    odd: Sequences = []
    rows = strange.rows(usual)
    for row in rows[: _most(len(rows), steps, model.info)]:
        sequence = usual[np.arange(len(odd), len(odd) + steps) % len(usual)]
        sequence[min(_ODD, steps - 1)] = row
        sequence[:, strange.fixed] = row[strange.fixed]
        odd.append(sequence)
    reach = np.abs(usual).max(axis=0)
    for sequence, wanted in zip(odd, _or_refused(run, odd, last, count), strict=True):
        (actual,) = (np.asarray(item, np.float64) for item in model.predict_sequences([sequence]))
        if wanted is None:
            wanted = np.where(np.isnan(actual).any(axis=1, keepdims=True), actual, np.nan)
            checked = slice(min(_ODD, steps - 1), None)
        else:
            checked = slice(-1, None) if last and count else slice(None)
        known = np.where(np.isfinite(sequence), np.abs(sequence), 0.0)
        farther = (known / np.where(reach > 0, reach, 1.0)).max(axis=1)
        allowed = strange.scale * np.maximum(1.0, np.maximum.accumulate(farther))[:, None]
        magnitude = np.nan_to_num(np.abs(wanted), nan=0.0)
        allowed = np.maximum(allowed, magnitude.max(axis=1, keepdims=True))
        allowed = np.where((magnitude > HELD) | np.isnan(actual), np.inf, allowed)
        _compare(actual[checked], wanted[checked], allowed[checked])


def _or_refused(
    run: Callable[[NDArray[np.float32]], Any], sequences: Sequences, last: bool, count: int
) -> Iterable[Floats | None]:
    """Return what a source computes for sequences, None for one that it refuses."""
    try:
        return after_each_step(run, sequences, last=last, count=count)
    except Exception:  # what a library raises for a bad row may be anything
        if len(sequences) == 1:
            return [None]
    half = len(sequences) // 2
    parts = (sequences[:half], sequences[half:])
    return [item for part in parts for item in _or_refused(run, part, last, count)]


def _kept(
    sequences: Sequences, expected: list[Floats], actual: list[Floats]
) -> ValidationData | None:
    """Return short sequences that the model reproduces within what it is held to."""
    with np.errstate(over="ignore"):
        rounded = [item.astype(np.float32) for item in expected]
    good = [
        i
        for i, (one, two) in enumerate(zip(rounded, actual, strict=True))
        if (Tolerance().excess(two, one) <= 1).all() and np.isfinite(one).all()
    ]
    good.sort(key=lambda i: len(sequences[i]))
    kept: list[int] = []
    steps = 0
    for i in good[:: max(1, len(good) // (2 * _KEPT_SEQUENCES))][:_KEPT_SEQUENCES]:
        steps += len(sequences[i])
        if kept and steps > _KEPT_STEPS:
            break
        kept.append(i)
    if not kept:
        return None
    return ValidationData([sequences[i] for i in kept], [rounded[i] for i in kept])
