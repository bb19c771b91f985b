"""The forms in which sequences come, and the state that they come with.

However they come, sequences are rows of one matrix: sequence i has the rows ``starts[i]`` to
``starts[i] + lengths[i] - 1``, in order.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instmodel.base import arrays
from instmodel.errors import InputError

Result = NDArray[np.float32] | list[NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Sequences:
    """N sequences.

    Attributes
    ----------
    rows : real array of shape (R, F)
    starts, lengths : int64 (N,)
        Where in `rows` each sequence begins, and how many steps it has.
    padded : int, optional
        Steps from one sequence to the next, where each has room for as many: (N, T, F).
    as_list : bool
        Whether they came one by one, as a list.
    """

    rows: NDArray[Any]
    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]
    padded: int | None = None
    as_list: bool = False

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def is_dense(self) -> bool:
        """Whether every row is a step of a sequence."""
        return self.padded is None or bool((self.lengths == self.padded).all())

    def steps(self) -> NDArray[Any]:
        """Return the rows that are a step of a sequence, (ΣT, F)."""
        return self.rows if self.is_dense else self.rows[self._in_use()]

    def shape(self, outputs: int, last: bool) -> tuple[int, ...]:
        """Return the shape of the result, but for that of a list, which is (ΣT, O)."""
        if last:
            return len(self), outputs
        if self.padded is not None:
            return len(self), self.padded, outputs
        return len(self.rows), outputs

    def results(self, results: NDArray[np.float32], last: bool) -> Result:
        """Return results, of `shape`, in the form in which the sequences came.

        They get NaN where no step has its output: behind the ends, or for no step at all.
        """
        if last:
            results[self.lengths == 0] = np.nan
        elif not self.is_dense:
            results.reshape(len(self.rows), -1)[~self._in_use()] = np.nan
        if not self.as_list or last:
            return results
        return [results[s : s + n] for s, n in zip(self.starts, self.lengths, strict=True)]

    def parts(self, most: int) -> Iterator[slice]:
        """Yield ranges of sequences that have at most so many rows together, or are one."""
        ends = self.starts + (self.lengths if self.padded is None else self.padded)
        first = 0
        while first < len(self):
            stop = int(np.searchsorted(ends, self.starts[first] + most, "right"))
            stop = max(stop, first + 1)
            yield slice(first, stop)
            first = stop

    def _in_use(self) -> NDArray[np.bool_]:
        assert self.padded is not None
        steps = np.arange(self.padded) < self.lengths[:, np.newaxis]
        return steps.reshape(-1)


def read_sequences(x: Any, lengths: Any, offsets: Any, feature_size: int) -> Sequences:
    """Return sequences in whatever form they come.

    Parameters
    ----------
    x : list of (T_i, F), or array_like of shape (N, T, F), or (ΣT, F) with `offsets`
    lengths : array_like of int, shape (N,), optional
    offsets : array_like of int, shape (N + 1,), optional
    feature_size : int
        F.

    Raises
    ------
    InputError
        ``sequence_shape_mismatch``, ``invalid_lengths``, ``invalid_offsets``, ``invalid_type``.
    """
    if isinstance(x, (list, tuple)):
        _refuse("lengths", lengths, "a list of sequences has lengths of its own")
        _refuse("offsets", offsets, "a list of sequences has lengths of its own")
        return _from_list(x, feature_size)
    array = arrays.real_array(x, "x")
    if array.ndim == 3 and array.shape[2] == feature_size:
        _refuse("offsets", offsets, "offsets are for rows, (ΣT, F)")
        return _from_padded(array, lengths)
    if array.ndim == 2 and array.shape[1] == feature_size and offsets is not None:
        _refuse("lengths", lengths, "offsets say the lengths, too")
        return _from_offsets(array, offsets)
    rows = "with offsets" if offsets is not None else "without offsets"
    raise InputError(
        "sequence_shape_mismatch",
        "the input holds no sequences of the model's rows",
        field="x",
        expected=f"(N, T, {feature_size}), a list of (T, {feature_size}), or (ΣT, {feature_size}) "
        "with offsets",
        actual=f"shape {array.shape} {rows}",
    )


def _refuse(name: str, value: Any, reason: str) -> None:
    if value is not None:
        raise InputError(f"invalid_{name}", reason, field=name, expected="None")


def _from_list(items: list[Any] | tuple[Any, ...], feature_size: int) -> Sequences:
    pieces = []
    for index, item in enumerate(items):
        piece = arrays.real_array(item, f"x[{index}]")
        if piece.shape == (0,):  # an empty list
            piece = piece.reshape(0, feature_size)
        if piece.ndim != 2 or piece.shape[1] != feature_size:
            raise InputError(
                "sequence_shape_mismatch",
                "a sequence does not hold rows of the model",
                field=f"x[{index}]",
                expected=f"shape (T, {feature_size})",
                actual=f"shape {piece.shape}",
            )
        pieces.append(piece)
    lengths = np.array([len(piece) for piece in pieces], np.int64)
    filled = [piece for piece in pieces if len(piece)] or [np.empty((0, feature_size), np.float32)]
    rows = np.concatenate(filled, dtype=_common_type(filled))
    return Sequences(rows, np.cumsum(lengths) - lengths, lengths, as_list=True)


def _common_type(pieces: list[NDArray[Any]]) -> np.dtype[Any]:
    """Return a type in which all pieces are what they are, so that float32 rounds them once."""
    common = np.result_type(*[piece.dtype for piece in pieces])
    if common == np.float64 and any(
        piece.dtype.kind in "iu" and piece.dtype.itemsize == 8 for piece in pieces
    ):
        return np.dtype(np.longdouble)  # float64 does not hold all integers of 64 bits
    return common


def _from_padded(array: NDArray[Any], lengths: Any) -> Sequences:
    count, most, features = array.shape
    checked = np.full(count, most, np.int64)
    if lengths is not None:
        checked = _whole_numbers(lengths, "lengths", count)
        wrong = np.flatnonzero((checked < 0) | (checked > most))
        if wrong.size:
            raise InputError(
                "invalid_lengths",
                "a sequence cannot have so many steps",
                field=f"lengths[{wrong[0]}]",
                expected=f"0 to {most}",
                actual=int(checked[wrong[0]]),
            )
    starts = np.arange(count, dtype=np.int64) * most
    return Sequences(array.reshape(count * most, features), starts, checked, padded=most)


def _from_offsets(array: NDArray[Any], offsets: Any) -> Sequences:
    checked = _whole_numbers(offsets, "offsets", None)
    if not checked.size or checked[0] != 0 or checked[-1] != len(array):
        raise InputError(
            "invalid_offsets",
            "offsets go from 0 to the number of rows",
            field="offsets",
            expected=f"0 … {len(array)}",
            actual=f"{checked[0]} … {checked[-1]}" if checked.size else "none",
        )
    # Compared, not subtracted: offsets far beyond the rows would wrap around.
    back = np.flatnonzero(checked[1:] < checked[:-1])
    if back.size:
        raise InputError(
            "invalid_offsets",
            "offsets must not go back",
            field=f"offsets[{back[0] + 1}]",
            expected=f"≥ {checked[back[0]]}",
            actual=int(checked[back[0] + 1]),
        )
    return Sequences(array, checked[:-1].copy(), np.diff(checked))


def _whole_numbers(given: Any, name: str, count: int | None) -> NDArray[np.int64]:
    array = np.asarray(given)
    if array.size == 0 and array.ndim == 1:
        array = array.astype(np.int64)
    if array.dtype.kind not in "iu":
        raise InputError(
            "invalid_type",
            "wrong type of array",
            field=name,
            expected="integers",
            actual=f"{type(given).__name__} of dtype {array.dtype}",
        )
    wanted = array.shape if count is None else (count,)
    if array.ndim != 1 or array.shape != wanted:
        raise InputError(
            f"invalid_{name}",
            "not a vector of one number for each sequence"
            if name == "lengths"
            else "not a vector of numbers",
            field=name,
            expected="shape (N + 1,)" if count is None else f"shape ({count},)",
            actual=f"shape {array.shape}",
        )
    # What int64 cannot hold is too large, and so stays it.
    if array.dtype.kind == "u":
        array = np.minimum(array.astype(np.uint64), np.iinfo(np.int64).max)
    whole: NDArray[np.int64] = array.astype(np.int64)
    return whole


def check_state(state: Any, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Check that `state` can be read and changed in place; return it.

    Raises
    ------
    InputError
        ``invalid_type`` unless it is a writable, C-ordered float32 array, ``state_size_mismatch``
        unless it has the shape.
    """
    found = arrays.writable_float32(
        state, "state", "the state is changed in place, and cannot be there"
    )
    if found.shape != shape:
        raise InputError(
            "state_size_mismatch",
            "the state does not fit the model and its input",
            field="state",
            expected=f"shape {shape}",
            actual=f"shape {found.shape}",
        )
    return found
