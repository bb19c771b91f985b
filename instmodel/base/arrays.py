"""What callers pass as samples: anything that NumPy turns into real numbers, as float32."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instmodel.base.features import Feature
from instmodel.errors import InputError

_REAL_KINDS = "biuf"
# Of PyTorch's types of floats; bfloat16 and those of 8 bits are others.
_NUMPY_HAS = ("torch.float16", "torch.float32", "torch.float64")


def real_array(x: Any, name: str = "input") -> NDArray[Any]:
    """Return `x` as an array of booleans, integers or floats, without converting what is one.

    Masked entries of a masked array become NaN, and so do nulls of a pandas frame: a missing value
    is never a number.

    Raises
    ------
    InputError
        ``invalid_type`` for complex, object and string arrays and for what NumPy cannot read, such
        as a bfloat16 tensor; ``input_size_mismatch`` for lists of unequal lengths.
    """
    if is_masked(x) and x.dtype.kind in _REAL_KINDS:
        x = np.ma.filled(x.astype(np.result_type(x.dtype, np.float32)), np.nan)
    try:
        array = np.asarray(x)
        if array.dtype == object and _is_instance(x, "pandas", "DataFrame"):
            array = _from_pandas(x)
    except (ValueError, TypeError, RuntimeError) as error:
        if isinstance(error, ValueError) and isinstance(x, (list, tuple)):
            raise InputError(
                "input_size_mismatch", f"not a rectangular array: {error}", field=name
            ) from None
        raise InputError(
            "invalid_type",
            f"NumPy cannot read it: {error}",
            field=name,
            expected=f"real numbers{_advice(x)}",
            actual=_described(x),
        ) from None
    if array.dtype.kind not in _REAL_KINDS:
        raise InputError(
            "invalid_type",
            "wrong type of array",
            field=name,
            expected=f"real numbers{_advice(x)}",
            actual=f"{_described(x)}, dtype {array.dtype}",
        )
    return array


def _from_pandas(frame: Any) -> NDArray[Any]:
    """Return a frame with columns of pandas's own types, Float32 or Int64, as NumPy has them."""
    kinds = [getattr(dtype, "numpy_dtype", dtype) for dtype in frame.dtypes]
    for name, kind in zip(frame.columns, kinds, strict=True):
        if kind.kind not in _REAL_KINDS:
            raise TypeError(f"column {name!r} is of {kind}")
    dtype = np.result_type(*kinds)
    if not frame.isna().any(axis=None):
        array: NDArray[Any] = frame.to_numpy(dtype)
        return array
    array = frame.to_numpy(np.result_type(dtype, np.float32), na_value=np.nan)
    return array


def _described(x: Any) -> str:
    if _is_instance(x, "torch", "Tensor"):
        return f"a tensor of {x.dtype}, {x.layout}, on {x.device}"
    return f"{type(x).__name__}"


def _advice(x: Any) -> str:
    """Return how to make numbers of what is none, for the end of a sentence."""
    if _is_instance(x, "torch", "Tensor"):
        if x.is_meta:
            return "; a meta tensor has none"
        steps = (
            ".detach()" * x.requires_grad,
            ".to_dense()" * (str(x.layout) != "torch.strided"),
            ".cpu()" * (x.device.type != "cpu"),
            ".float()" * (x.is_floating_point() and str(x.dtype) not in _NUMPY_HAS),
        )
        return f": pass x{''.join(steps)}" if any(steps) else ""
    if hasattr(x, "toarray"):
        return ": pass x.toarray()"
    if isinstance(x, Mapping):
        return "; `predict_one` and `predict_table` find them by name"
    if hasattr(x, "columns"):
        return ", as after .astype('float32'); `predict_table` takes text of categories, too"
    return ", for example after .astype('float32')"


def _is_instance(x: Any, module: str, kind: str) -> bool:
    """Return whether `x` is of a class of a library that is perhaps not imported."""
    found = sys.modules.get(module)
    return found is not None and isinstance(x, getattr(found, kind, ()))


def is_masked(x: Any) -> bool:
    """Return whether `x` is a masked array.

    ``np.ma`` is imported on first use, and a fork meanwhile would leave the child with a locked
    import; where it is not imported, there are no masked arrays.
    """
    return _is_instance(x, "numpy.ma", "MaskedArray")


def check_columns(x: Any, features: Sequence[Feature]) -> None:
    """Refuse data frames, and rows of them, whose columns are not the model's features in order.

    Arrays and frames are taken by position; a frame whose names say otherwise would give wrong
    scores that nobody notices. Columns that are numbered, not named, count by position, and so does
    what has no columns.

    Parameters
    ----------
    x : what a caller passes as samples
        A frame, a row of one (a pandas Series), a list of either, or anything else.
    features : sequence of Feature
        Empty where the model does not name them: then nothing is refused.

    Raises
    ------
    InputError
        ``column_mismatch``, with the first column that differs.
    """
    if not features:
        return
    in_list = isinstance(x, (list, tuple))
    items = x if in_list else (x,)
    count = sum(feature.size for feature in features)
    # The rule is an array, or a list of numbers or lists: one look at each type, not at each item.
    one_of_each = {type(item): item for item in items}.values()
    if all(_labels(item, count, in_list) is None for item in one_of_each):
        return
    wanted = [name for feature in features for name in feature.columns()]
    checked = None
    for item in items:
        labels = _labels(item, count, in_list)
        if labels is not None and labels is not checked:  # the rows of a frame share them
            _check_names(wanted, list(labels))
            checked = labels


def _labels(x: Any, count: int, in_list: bool) -> Any:
    """Return the names of the columns of a frame or of a row of one; None for all else."""
    if getattr(x, "ndim", 2) > 1 and hasattr(x, "columns"):
        # Arrow calls the names `column_names`; its `columns` are the data.
        return getattr(x, "column_names", x.columns)
    # A row of a pandas frame has them as its index; other series have one for their rows.
    index = getattr(x, "index", None)
    if index is None or callable(index) or len(x) != count or (count == 1 and not in_list):
        return None
    return index


def _check_names(wanted: list[str], names: list[Any]) -> None:
    if wanted == names or all(isinstance(name, Real) for name in names):
        return
    for index, (expected, actual) in enumerate(zip_longest(wanted, names)):
        if expected != actual:
            raise InputError(
                "column_mismatch",
                "the columns must be the model's features in their order; select them by name, as "
                "in frame[model.columns], or pass frame.to_numpy() to go by position",
                column=str(actual if index < len(names) else expected),
                expected=repr(expected) if index < len(wanted) else "no more columns",
                actual=repr(actual) if index < len(names) else "nothing",
            )


def as_float32(x: NDArray[Any]) -> NDArray[np.float32]:
    """Return a real array as C-ordered, aligned, native float32; a copy only where needed."""
    with np.errstate(over="ignore", invalid="ignore"):  # 1e300 is infinite in float32: as it is
        return np.require(x, np.float32, ["C", "A"])


def as_rows(x: NDArray[Any], feature_size: int, *, flat: bool = False) -> NDArray[Any]:
    """Return `x` as (N, F).

    Parameters
    ----------
    x : real array of shape (…, F); with `flat`, (N·F,) or (N, F)
    feature_size : int
        F.

    Raises
    ------
    InputError
        ``input_size_mismatch``.
    """
    if x.ndim == 2 and x.shape[1] == feature_size:
        return x
    if flat:
        fits = x.ndim == 1 and x.size % feature_size == 0
    else:
        fits = x.ndim > 0 and x.shape[-1] == feature_size
    if fits:
        return x.reshape(-1, feature_size)
    wanted = f"(N·{feature_size},) or (N, {feature_size})" if flat else f"(…, {feature_size})"
    raise InputError(
        "input_size_mismatch",
        "the input does not fit the model",
        field="input",
        expected=f"shape {wanted}",
        actual=f"shape {x.shape}",
    )


def with_results(
    rows: NDArray[Any], out: Any, shape: tuple[int, ...]
) -> tuple[NDArray[Any], NDArray[np.float32]]:
    """Return rows, and where their results of `shape` go: `out`, or a new array if that is None.

    The rows are copied where writing the results could change them. Errors are those of
    `check_out`.
    """
    if out is None:
        return rows, np.empty(shape, np.float32)
    results = check_out(out, shape)
    return (rows.copy() if np.may_share_memory(rows, results) else rows), results


def check_out(out: Any, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Check that results of `shape` can be written into `out`, which is returned.

    Raises
    ------
    InputError
        ``invalid_type`` unless it is a writable, C-ordered float32 array;
        ``destination_size_mismatch`` unless it has the shape.
    """
    result = writable_float32(out, "out", "results cannot be written there")
    if result.shape != shape:
        raise InputError(
            "destination_size_mismatch",
            "`out` has the wrong shape",
            field="out",
            expected=shape,
            actual=result.shape,
        )
    return result


def writable_float32(array: Any, name: str, message: str) -> NDArray[np.float32]:
    """Return an array that the engine may write into; `name` and `message` are for the error.

    Raises
    ------
    InputError
        ``invalid_type`` unless it is a writable, C-ordered, aligned float32 array.
    """
    fits = (
        isinstance(array, np.ndarray)
        and not is_masked(array)
        and array.dtype == np.float32
        and array.dtype.isnative
        and array.flags.c_contiguous
        and array.flags.aligned
        and array.flags.writeable
    )
    if not fits:
        raise InputError(
            "invalid_type",
            message,
            field=name,
            expected="a writable, C-ordered, aligned float32 array",
            actual=f"{type(array).__name__} of {getattr(array, 'dtype', 'no dtype')}",
        )
    result: NDArray[np.float32] = array
    return result


def in_place_copy(buffer: Any) -> NDArray[np.float32]:
    """Return an aligned, contiguous copy of a float32 vector that can be written back to.

    Raises
    ------
    InputError
        ``invalid_type`` unless `buffer` is a writable float32 vector.
    """
    if (
        isinstance(buffer, np.ndarray)
        and not is_masked(buffer)
        and buffer.ndim == 1
        and buffer.dtype.newbyteorder("=") == np.float32
        and buffer.flags.writeable
    ):
        return np.array(buffer, np.float32, order="C", subok=False)
    raise InputError(
        "invalid_type",
        "the model cannot run in that buffer",
        field="buffer",
        expected="a writable float32 vector",
        actual=f"{type(buffer).__name__} of {getattr(buffer, 'dtype', 'no dtype')}",
    )
