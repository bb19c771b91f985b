"""Turn what a caller or a JSON text gives into checked Python and NumPy values.

Every function takes the value and its place in the document, and either returns a value of exactly
the promised type or raises an `InstModelError` that names the place. Nothing is guessed: a boolean
is no index and no number, a float is no index, a string is no number.
"""

from __future__ import annotations

import operator
import os
import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instmodel import _kernels
from instmodel.base.activations import Activation
from instmodel.errors import DocumentError, InputError, StructureError

# Of difflib's ratio, 0 to 1: below, names that share no more than some letters come up.
_NEAR = 0.65

Vector = NDArray[np.float32]  # (n,)
Matrix = NDArray[np.float32]  # (rows, cols)

_REAL_KINDS = "fiu"
_INT32 = np.iinfo(np.int32)
_INT64 = np.iinfo(np.int64)
_NUMBER_TYPES = frozenset({int, float})
# The one spelling of an integer; int() also takes "01", "+1", " 1", "1_0" and foreign digits.
_DECIMAL = re.compile(r"0|-?[1-9][0-9]{0,9}")


def describe(value: Any) -> str:
    """Name a value for an error message: its type, and itself where it is short."""
    if isinstance(value, int) and value.bit_length() > 128:
        return (
            f"an int of {value.bit_length()} bits"  # CPython refuses to print thousands of digits
        )
    kind = type(value).__name__
    if isinstance(value, (np.float64, np.str_)):
        value = value.item()  # else NumPy 2 writes np.float64(1.5)
    text = repr(value) if isinstance(value, (str, int, float, bool)) else ""
    if value is None:
        return "null"
    return f"{kind} {text}".rstrip() if len(text) <= 40 else f"{kind} {text[:37]}..."


def closest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name most like `name`, or None when nothing is near."""
    import difflib  # only an error needs it

    matches = difflib.get_close_matches(
        name.casefold()[:200], [k.casefold() for k in known], 1, _NEAR
    )
    return next((k for k in known if matches and k.casefold() == matches[0]), None)


def hint(name: str, known: Iterable[str]) -> str:
    """Return "; did you mean 'x'?" for the closest known name, or nothing."""
    near = closest(name, list(known))
    return f"; did you mean '{near}'?" if near else ""


def wrong_type(value: Any, field: str, expected: str) -> DocumentError:
    """Build the error for a value of the wrong type."""
    return DocumentError(
        "invalid_type", "wrong type", field=field, expected=expected, actual=describe(value)
    )


def path(value: Any, field: str) -> str:
    """Return a path; `open` would take a number, too, and read from an open file of that number."""
    if not isinstance(value, (str, bytes, os.PathLike)):
        raise wrong_type(value, field, "a path")
    return os.fsdecode(value)


def known_only(
    given: Mapping[str, Any], known: Iterable[str], place: str, unknown: str
) -> dict[str, Any]:
    """Return the known keys of an object, in their own order.

    Raises
    ------
    DocumentError
        ``unknown_field`` with the closest known key, unless `unknown` is ``"ignore"``.
    """
    if unknown not in ("error", "ignore"):
        raise DocumentError(
            "invalid_type",
            "no such policy",
            field="unknown",
            expected="'error' or 'ignore'",
            actual=describe(unknown),
        )
    known = list(known)
    for key in given:
        if key not in known and unknown == "error":
            name = key if isinstance(key, str) else repr(key)
            raise DocumentError(
                "unknown_field",
                f"unknown key{hint(name, known)}",
                field=f"{place}.{name}" if place else name,
                expected="one of " + ", ".join(known),
                actual=repr(name),
            )
    return {key: given[key] for key in known if key in given}


def integer(value: Any, field: str) -> int:
    """Return `value` as an int; NumPy integers count, booleans and floats do not.

    What int64 cannot hold becomes its nearest end: no less out of bounds, and fit to print.
    """
    if isinstance(value, (bool, np.bool_)):
        raise wrong_type(value, field, "an integer")
    try:
        return max(_INT64.min, min(operator.index(value), _INT64.max))
    except TypeError:
        raise wrong_type(value, field, "an integer") from None


def boolean(value: Any, field: str) -> bool:
    """Return a bool; nothing else counts as true or false, ``"no"`` least of all."""
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    raise wrong_type(value, field, "True or False")


def integer_argument(value: Any, name: str) -> int:
    """Return an argument as an int, or raise ``invalid_type``."""
    try:
        return integer(value, name)
    except DocumentError as error:
        raise InputError(
            error.code, error.message, field=name, expected=error.expected, actual=error.actual
        ) from None


def sequence(value: Any, field: str, of: str) -> list[Any] | tuple[Any, ...] | NDArray[Any]:
    """Return `value` if it is a list, tuple or array of at least one dimension."""
    if isinstance(value, (list, tuple)) or (isinstance(value, np.ndarray) and value.ndim > 0):
        return value
    raise wrong_type(value, field, f"a list of {of}")


def names(value: Any, field: str) -> list[str]:
    """Return a list of names as plain strings."""
    found = sequence(value, field, "names")
    for index, name in enumerate(found):
        if not isinstance(name, str):
            raise wrong_type(name, f"{field}[{index}]", "a name")
    return [str(name) for name in found]


def integers(value: Any, field: str) -> tuple[int, ...]:
    """Return a list or range of integers as a tuple."""
    items = value if isinstance(value, range) else sequence(value, field, "integers")
    if not isinstance(items, np.ndarray) and set(map(type, items)) <= {int}:
        return tuple(max(_INT64.min, min(item, _INT64.max)) for item in items)
    return tuple(integer(item, f"{field}[{i}]") for i, item in enumerate(items))


def activation(value: Any, field: str) -> Activation | None:
    """Return an activation by its name; None stays None."""
    if value is None or isinstance(value, Activation):
        return value
    if not isinstance(value, str):
        raise wrong_type(value, field, "the name of an activation")
    try:
        return Activation[value]
    except KeyError:
        raise DocumentError(
            "unknown_activation",
            f"unknown activation{hint(value, Activation)}",
            field=field,
            expected="one of " + ", ".join(Activation),
            actual=describe(value),
        ) from None


def required_activation(value: Any, field: str) -> Activation:
    """Return an activation by its name; None is an error."""
    result = activation(value, field)
    if result is None:
        raise wrong_type(value, field, "the name of an activation")
    return result


def vector(value: Any, field: str, *, finite: bool = True) -> Vector:
    """Return a list or array of numbers as a float32 vector, (n,).

    Parameters
    ----------
    value : list of numbers or array of shape (n,)
    field : str
        Its place in the document.
    finite : bool
        Refuse NaN and what is infinite in float32. Validation data may hold them.
    """
    return _float32(numbers(value, field), field, finite)


def numbers(value: Any, field: str) -> NDArray[Any]:
    """Return a list of numbers as a float64 vector, (n,), and an array as it is."""
    if isinstance(value, np.ndarray):
        if value.ndim != 1:
            raise wrong_type(value, field, "a vector")
        return value
    items = sequence(value, field, "numbers")
    if not set(map(type, items)) <= _NUMBER_TYPES:
        items = [_number(item, f"{field}[{i}]") for i, item in enumerate(items)]
    try:
        return np.array(items, dtype=np.float64)
    except OverflowError:  # an int beyond float64
        return np.array([_clamped(item) for item in items])


def matrix(value: Any, field: str, *, finite: bool = True) -> Matrix:
    """Return a list of rows or a 2-D array as a C-ordered float32 matrix, (rows, cols)."""
    if isinstance(value, np.ndarray) and value.dtype != object:
        if value.ndim != 2:
            raise wrong_type(value, field, "a matrix")
        return _float32(value, field, finite)
    rows = [
        vector(row, f"{field}[{i}]", finite=finite)
        for i, row in enumerate(sequence(value, field, "rows"))
    ]
    for i, row in enumerate(rows):
        if len(row) != len(rows[0]):
            raise StructureError(
                "weights_column_size_mismatch",
                "the rows of a matrix must have the same length",
                field=f"{field}[{i}]",
                expected=f"{len(rows[0])} values, as in row 0",
                actual=len(row),
            )
    return np.stack(rows) if rows else np.empty((0, 0), np.float32)


def embedding(value: Any, field: str, *, finite: bool = True) -> dict[int, Vector]:
    """Return an embedding table, {int32: float32 vector}, from int or decimal string keys."""
    if not isinstance(value, Mapping):
        raise wrong_type(value, field, "an object of int32 keys")
    rows = _rows(value, finite)
    if rows is not None:
        return dict(zip(value, rows, strict=True))
    table: dict[int, Vector] = {}
    for key, values in value.items():
        number = _int32_key(key, field)
        if number in table:
            raise DocumentError(
                "duplicate_key", "the same key twice", field=f"{field}[{key!r}]", actual=number
            )
        table[number] = vector(values, f"{field}[{key!r}]", finite=finite)
    return table


def _rows(table: Mapping[Any, Any], finite: bool) -> Matrix | None:
    """Return the rows of a table of float32 vectors at once, or None where one needs a look.

    A million vectors one by one would take seconds.
    """
    vectors = list(table.values())
    if not vectors or set(map(type, table)) != {int} or set(map(type, vectors)) != {np.ndarray}:
        return None
    if {(row.dtype, row.shape) for row in vectors} != {(np.dtype(np.float32), vectors[0].shape)}:
        return None
    if vectors[0].ndim != 1 or not _INT32.min <= min(table) <= max(table) <= _INT32.max:
        return None
    rows = np.concatenate(vectors).reshape(len(vectors), vectors[0].size)
    return rows if not finite or _kernels.all_finite(rows.reshape(-1)) else None


def _int32_key(key: Any, field: str) -> int:
    number = None
    if isinstance(key, str):
        if _DECIMAL.fullmatch(key):
            number = int(key)
    elif not isinstance(key, (bool, np.bool_, float)):
        number = integer(key, field)
    if number is None or not _INT32.min <= number <= _INT32.max:
        raise DocumentError(
            "invalid_map_key",
            "a map key must be an int32 in decimal, without leading zeros",
            field=field,
            expected="-2147483648 … 2147483647",
            actual=describe(key),
        )
    return number


def _number(value: Any, field: str) -> float:
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.number)):
        raise wrong_type(value, field, "a number")
    if isinstance(value, np.complexfloating):
        raise wrong_type(value, field, "a real number")
    return _clamped(value)


def _clamped(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf")


def _float32(array: NDArray[Any], field: str, finite: bool) -> NDArray[np.float32]:
    if array.dtype.kind not in _REAL_KINDS:
        raise DocumentError(
            "invalid_type", "wrong type", field=field, expected="real numbers", actual=array.dtype
        )
    # What overflows float32 is reported just below; a signalling NaN is a NaN like others.
    with np.errstate(over="ignore", invalid="ignore"):
        result = np.array(array, dtype=np.float32, order="C")
    if finite and not _kernels.all_finite(result.reshape(-1)):
        place = tuple(int(i) for i in np.argwhere(~np.isfinite(result))[0])
        raise DocumentError(
            "non_finite_value",
            "not a finite float32 number",
            field=field + "".join(f"[{i}]" for i in place),
            expected="a number between ±3.4028235e38",
            actual=array[place],
        )
    return result
