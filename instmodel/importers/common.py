"""What every importer does: collect what is in the way, build, and compare with the source."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instmodel.base import arrays
from instmodel.base.features import parse_feature_names
from instmodel.base.tolerance import Tolerance, absolute_errors
from instmodel.document.builder import ModelBuilder
from instmodel.document.constants import share_constants
from instmodel.document.schema import InstructionModelInfo
from instmodel.document.structure import ValidationData
from instmodel.document.validate import check
from instmodel.errors import DocumentError, InputError, UnsupportedModelError, ValidationDataError
from instmodel.importers.expressions import Unsupported, Value
from instmodel.importers.lowering import lower
from instmodel.importers.patterns import looked_up, obstacles
from instmodel.importers.strange import (
    HELD,
    Float32Source,
    learned_values,
    outputs_or_nan,
    strange_rows,
)
from instmodel.model import InstructionModel

Floats = NDArray[np.float64]

# Rows on which an import is compared with its source, and how many of them the model keeps.
CHECKED_ROWS = 256
VALIDATION_ROWS = 16
# Values of these rows together: a wide model is compared on fewer, and keeps fewer.
_CHECKED_VALUES, _VALIDATION_VALUES = 1 << 24, 1 << 18
# Of the largest expected output of a column, or of 1 where that is less.
TOLERANCE = 1e-5


class Findings:
    """What the instructions cannot express, found so far."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._pieces: dict[str, None] = {}

    def add(self, place: str, reason: object) -> None:
        """Note one piece."""
        self._pieces[f"{place}: {reason}" if place else str(reason)] = None

    @contextlib.contextmanager
    def at(self, place: str) -> Iterator[None]:
        """Note what the block finds, and go on."""
        try:
            yield
        except Unsupported as found:
            self.add(place, found)

    def check(self, output: Value | None = None) -> None:
        """Raise one error with everything that was found, also in `output`, if anything was.

        Raises
        ------
        UnsupportedModelError
            ``unsupported_model``
        """
        for reason in obstacles(output) if output is not None else ():
            self.add("", reason)
        if self._pieces:
            count = len(self._pieces)
            raise UnsupportedModelError(
                "unsupported_model",
                f"{count} unsupported piece{'s' if count > 1 else ''} of the {self._kind} model",
                pieces=list(self._pieces),
            )


def build(
    output: Value, inputs: Sequence[Value], names: Sequence[str] | None, metadata: dict[str, Any]
) -> InstructionModelInfo:
    """Return the document of a model without validation data.

    Parameters
    ----------
    output : Value
    inputs : sequence of Value
        The leaves, in the order of the features.
    names : sequence of str, optional
        The features of all inputs together, as a document writes them.
    metadata : dict
    """
    given: list[Any] = [leaf.size for leaf in inputs]
    if names is not None:
        given = _shared_out(names, given)
    builder = ModelBuilder()
    handle = lower(output, inputs, builder, given)
    info = share_constants(builder.build(output=handle, metadata=metadata))
    check(info.structure)  # its size, above all, before anything runs
    return info


def _shared_out(names: Sequence[str], sizes: Sequence[int]) -> list[list[str]]:
    """Return the features of each input; a feature must not reach from one into the next."""
    rest = parse_feature_names(list(names))[::-1]
    written = list(names)[::-1]
    groups: list[list[str]] = []
    for size in sizes:
        group: list[str] = []
        while size > 0 and rest:
            size -= rest.pop().size
            group.append(written.pop())
        groups.append(group)
        if size:
            break
    if size or rest:
        raise InputError(
            "feature_size_mismatch",
            "the features do not fit the inputs",
            field="features",
            expected=f"features of {list(sizes)} values",
            actual=f"{len(names)} features",
        )
    return groups


def compared(
    info: InstructionModelInfo,
    output: Value,
    leaves: Sequence[Value],
    sample: Any,
    run: Callable[[NDArray[np.float32]], Any],
    whole: Sequence[bool] | None = None,
) -> InstructionModelInfo:
    """Compare the document of a graph with the graph itself, and keep cases as validation data.

    Compared are usual rows, and strange ones made of them: see `strange_rows`. What the graph
    refuses of these with an error must be NaN.

    Parameters
    ----------
    info : InstructionModelInfo
        IN/OUT: what `build` made of `output` and `leaves`.
    sample : array_like of shape (N, F), optional
        The rows to compare on, by default likely ones.
    run : callable
        Returns what the graph computes for rows (N, F), its inputs side by side: (N, O).
    whole : sequence of bool, optional
        Whether the graph takes whole numbers, for each leaf.
    """
    rows = sample_rows(
        sample,
        info,
        sum(leaf.size for leaf in leaves),
        lambda rng, count: likely_rows(output, leaves, rng, count, whole),
    )
    expected = run(rows)
    sizes = [leaf.size for leaf in leaves]
    integers = np.flatnonzero(np.repeat(whole or [False] * len(leaves), sizes)).tolist()
    odd = strange_rows(rows, learned_values(output, leaves), integers)
    computed, refused = outputs_or_nan(run, odd, output.size)
    lenient = Float32Source(run, output, leaves, integers, refused)
    return attach_cases(info, rows, expected, (odd, computed), lenient)


def side_by_side(
    rows: NDArray[np.float32], shapes: Iterable[Sequence[int]]
) -> Iterator[NDArray[np.float32]]:
    """Yield the part (N, *shape) of rows (N, F) that each input of a graph gets."""
    start = 0
    for shape in shapes:
        stop = start + math.prod(shape)
        yield rows[:, start:stop].reshape(len(rows), *shape)
        start = stop


def likely_rows(
    output: Value,
    leaves: Sequence[Value],
    rng: np.random.Generator,
    count: int,
    whole: Sequence[bool] | None = None,
) -> Floats:
    """Return random rows (count, F): normal, and keys of the table where one is looked up.

    `whole` says for each leaf whether the source takes whole numbers there.
    """
    blocks = []
    for leaf, is_whole in zip(leaves, whole or [False] * len(leaves), strict=True):
        block = rng.normal(size=(count, leaf.size))
        if is_whole:
            block = np.rint(4 * block)
        for position, keys in looked_up(output, leaf).items():
            drawn = rng.choice(keys if len(keys) else [0], count)
            block[:, position] = np.trunc(drawn) if is_whole else drawn
        blocks.append(block)
    return np.concatenate(blocks, axis=1)


def feature_names(inputs: Sequence[tuple[str, Value]]) -> list[str] | None:
    """Return a feature for each input of a graph: its name, ``name[n]`` for n values."""
    if usable_names([name for name, _ in inputs]) is None:
        return None
    return [name if leaf.size == 1 else f"{name}[{leaf.size}]" for name, leaf in inputs]


def usable_names(names: Sequence[Any] | None) -> list[str] | None:
    """Return the names of features, or None unless all are different and fit for a document."""
    if names is None:
        return None
    found = [name for name in names if isinstance(name, str) and name and not set(name) & set("[]")]
    return found if len(found) == len(names) == len(set(found)) else None


def attach_cases(
    info: InstructionModelInfo,
    rows: NDArray[np.float32],
    expected: Any,
    strange: tuple[NDArray[np.float32], Any] | None = None,
    lenient: Float32Source | None = None,
) -> InstructionModelInfo:
    """Compare a model with what its source computed, and keep cases of it as validation data.

    Kept are cases that the model reproduces within the tolerance that it is held to when it is
    loaded. Cases with NaN or infinities are compared, but not kept: a document holds finite
    numbers.

    Parameters
    ----------
    info : InstructionModelInfo
        IN/OUT: gets `validation_data`.
    rows : (N, F) float32
    expected : (N, O)
        The outputs of the source; the model may miss them by `TOLERANCE` of the largest in their
        column, or of 1 where that is less.
    strange : ((M, F) float32, (M, O)), optional
        Rows that try what breaks imports (see `strange_rows`), and the outputs of the source, NaN
        for what it refuses. The model may miss them by more, as they are larger than the other
        rows: float32 errors grow with the inputs. What float32 cannot hold is not compared.
    lenient : Float32Source, optional
        Says which outputs for strange rows the model may miss all the same.

    Raises
    ------
    InstModelError
        ``import_mismatch``: the model is not what the source is.
    """
    wanted = np.asarray(expected, np.float64).reshape(len(rows), -1)
    model = InstructionModel(info, validate=False)
    if wanted.shape[1] != model.output_size:
        raise ValidationDataError(
            "import_mismatch",
            "the source has another number of outputs than what was imported",
            expected=wanted.shape[1],
            actual=model.output_size,
        )
    scale = np.maximum(1.0, _largest(wanted, axis=0))
    actual = _compare(model, rows, wanted, np.broadcast_to(scale, wanted.shape))
    if strange is not None:
        odd_rows, odd = strange[0], np.asarray(strange[1], np.float64)
        usual = _largest(rows, axis=0)
        farther = _largest(odd_rows / np.where(usual > 0, usual, 1.0), axis=1)[:, None]
        allowed = np.maximum(scale * np.maximum(1.0, farther), _largest(odd, axis=1)[:, None])
        allowed = np.where(np.abs(odd) > HELD, np.inf, allowed)
        odd_actual = _compare(model, odd_rows, odd, allowed, lenient)
        rows = np.concatenate([rows, odd_rows])
        wanted, actual = np.concatenate([wanted, odd]), np.concatenate([actual, odd_actual])
    with np.errstate(over="ignore"):
        rounded = wanted.astype(np.float32)
    good = np.flatnonzero(
        (Tolerance().excess(actual, rounded) <= 1).all(axis=1)
        & np.isfinite(rows).all(axis=1)
        & np.isfinite(rounded).all(axis=1)
    )
    count = min(VALIDATION_ROWS, max(1, _VALIDATION_VALUES // rows.shape[1]), len(good))
    kept = good[np.linspace(0, len(good) - 1, count).astype(int)]
    if len(kept):
        info.validation_data = ValidationData(list(rows[kept]), list(wanted[kept]))
    return info


def _compare(
    model: InstructionModel,
    rows: NDArray[np.float32],
    wanted: Floats,
    allowed: Floats,
    lenient: Float32Source | None = None,
) -> Floats:
    """Return the model's outputs, each within `TOLERANCE` of `allowed`, which may be infinite."""
    actual = model.predict(rows).astype(np.float64)
    held = np.isfinite(allowed)
    relative = np.where(held, absolute_errors(actual, wanted) / np.where(held, allowed, 1.0), 0.0)
    off = np.flatnonzero((relative > TOLERANCE).any(axis=1))
    if len(off) and lenient is not None:
        excused = lenient.excuses(model, off, rows[off], wanted[off], TOLERANCE * allowed[off])
        relative[off] = np.where(excused, 0.0, relative[off])
    if relative.size and relative.max() > TOLERANCE:
        row, column = (int(i) for i in np.unravel_index(np.argmax(relative), relative.shape))
        raise ValidationDataError(
            "import_mismatch",
            f"output {column} for the inputs {np.array2string(rows[row], threshold=16)}: what was "
            "imported does not compute what its source does",
            expected=wanted[row, column],
            actual=actual[row, column],
        )
    return actual


def _largest(table: Any, axis: int) -> Floats:
    """Return the largest finite magnitudes, 0 where there is none."""
    sizes: Floats = np.where(np.isfinite(table), np.abs(table), 0.0)
    return np.asarray(sizes.max(axis=axis, initial=0.0))


def sample_rows(
    given: Any,
    info: InstructionModelInfo,
    size: int,
    make: Callable[[np.random.Generator, int], Any],
) -> NDArray[np.float32]:
    """Return the rows to compare on: the caller's, or such as `make` draws.

    Parameters
    ----------
    given : array_like of shape (N, F), optional
        By position; a data frame in another order is refused.
    info : InstructionModelInfo
        The larger it is, the fewer rows.
    size : int
        F
    make : callable
        Takes a generator and a number of rows.
    """
    arrays.check_columns(given, parse_feature_names(info.features or []))
    count = max(1, min(CHECKED_ROWS, _CHECKED_VALUES // sum(info.buffer_sizes)))
    rows = make(np.random.default_rng(0), count) if given is None else given
    array = arrays.as_float32(arrays.real_array(rows, "sample"))
    if array.ndim != 2 or array.shape[1] != size or not len(array):
        raise DocumentError(
            "input_size_mismatch",
            "the sample does not fit the model",
            field="sample",
            expected=f"shape (rows, {size})",
            actual=f"shape {array.shape}",
        )
    return array
