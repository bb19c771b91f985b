"""Many samples on many threads.

Rows are shared out in chunks that threads claim. The calling thread works, too, and is the one that
notices Ctrl-C. The helpers come from `instmodel.base.pool`: made on first use, forgotten after a
fork.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instmodel._engine import Engine
from instmodel._job import SharedRows
from instmodel.base import arrays, values
from instmodel.base.cpus import default_thread_count, requested_thread_count
from instmodel.base.pool import MAX_THREADS, run_together
from instmodel.errors import InputError

# Waking a thread costs some tens of microseconds on a virtual machine; less work than about eighty
# of them per thread is not worth it. In the units of `Program.work`.
WORK_WORTH_A_THREAD = 8_000_000
# Work of a chunk at the most: a few milliseconds, so that Ctrl-C is prompt.
_WORK_OF_A_CHUNK = 200_000_000
# Rows converted to float32 at a time when the input has another type.
_ROWS_CONVERTED = 1 << 18


@dataclass(frozen=True, slots=True)
class PredictConfig:
    """How `InstructionModel.predict_parallel` runs.

    Parameters
    ----------
    threads : int, optional
        How many threads work; None is every CPU that this process may use (see
        `instmodel.runtime_info`).
    buffer_slice : (int, int), optional
        Half-open range of the unified buffer to return for each sample, instead of the output.
    """

    threads: int | None = None
    buffer_slice: tuple[int, int] | None = None


class ParallelPredictOutput(np.ndarray[Any, np.dtype[np.float32]]):
    """The results of a parallel run: an array of shape (num_samples, slice_size), float32.

    It can do whatever an array can. Rows, slices and results of arithmetic and of functions are
    plain arrays.

    """

    # Below that of an array: what is joined or stacked with others is a plain array, too.
    __array_priority__ = -1.0

    def __new__(cls, results: NDArray[np.float32]) -> ParallelPredictOutput:
        """Make it of an array, which it shares."""
        return results.view(cls)

    @property
    def num_samples(self) -> int:
        """Number of rows."""
        return len(self)

    @property
    def slice_size(self) -> int:
        """Values per sample: the output, or the slice that was asked for."""
        return math.prod(self.shape[1:])

    def __array_wrap__(
        self, array: NDArray[Any], context: Any = None, return_scalar: bool = False
    ) -> Any:
        if array is self:  # changed in place
            return self
        plain = array.view(np.ndarray)  # NumPy 1 hands over one of this class
        return plain if plain.ndim else plain[()]

    def __getitem__(self, key: Any) -> Any:
        return self.view(np.ndarray)[key]

    def get_result(self, index: int) -> NDArray[np.float32]:
        """Return the values of one sample, (slice_size,): a view.

        Raises
        ------
        InputError
            ``result_index_out_of_bounds``.
        """
        index = values.integer_argument(index, "index")
        if not 0 <= index < self.num_samples:
            raise InputError(
                "result_index_out_of_bounds",
                "no such sample",
                field="index",
                expected=f"0 ≤ index < {self.num_samples}",
                actual=index,
            )
        result: NDArray[np.float32] = self[index]
        return result

    def copy_results(self, destination: NDArray[Any]) -> None:
        """Copy all results into an array of shape (num_samples, slice_size), or flat.

        Raises
        ------
        InputError
            ``destination_size_mismatch``, ``invalid_type``.
        """
        if not (
            isinstance(destination, np.ndarray)
            and destination.dtype.kind == "f"
            and destination.flags.writeable
        ):
            raise InputError(
                "invalid_type",
                "results cannot be written there",
                field="destination",
                expected="a writable array of floats",
                actual=f"{type(destination).__name__} of "
                f"{getattr(destination, 'dtype', 'no dtype')}",
            )
        if destination.shape not in (self.shape, (self.size,)):
            raise InputError(
                "destination_size_mismatch",
                "the destination has the wrong shape",
                field="destination",
                expected=f"shape {self.shape} or ({self.size},)",
                actual=f"shape {destination.shape}",
            )
        destination[...] = self.reshape(destination.shape)


def predict_parallel(
    engine: Engine, x: Any, config: PredictConfig, out: NDArray[np.float32] | None = None
) -> ParallelPredictOutput:
    """Run `engine` on many samples; see `InstructionModel.predict_parallel`."""
    if not isinstance(config, PredictConfig):
        raise InputError(
            "invalid_type",
            "not a configuration",
            field="config",
            expected="a PredictConfig",
            actual=values.describe(config),
        )
    wanted = checked_threads(config.threads)
    start, stop = _slice(engine, config.buffer_slice)
    rows = arrays.as_rows(arrays.real_array(x), engine.feature_size, flat=True)
    shape = (len(rows), stop - start)
    rows, results = arrays.with_results(rows, out, shape)
    if _is_ready(rows):
        _run(engine, rows, results, start, wanted)
    else:
        for done in range(0, len(rows), _ROWS_CONVERTED):
            part = slice(done, done + _ROWS_CONVERTED)
            _run(engine, arrays.as_float32(rows[part]), results[part], start, wanted)
    return ParallelPredictOutput(results)


def _is_ready(rows: NDArray[Any]) -> bool:
    return (
        rows.dtype == np.float32
        and rows.dtype.isnative
        and rows.flags.aligned
        and rows.strides[1] == rows.itemsize
    )


def _run(
    engine: Engine,
    rows: NDArray[np.float32],
    results: NDArray[np.float32],
    start: int,
    wanted: int | None,
) -> None:
    """Share the rows out; the calling thread is one of the workers."""
    threads = max(1, min(MAX_THREADS, len(rows) * engine.work // WORK_WORTH_A_THREAD))
    if threads > 1:  # to find out what this process may use takes longer than a small run
        threads = min(threads, default_thread_count().threads if wanted is None else wanted)
    tile = engine.tile_samples
    threads = max(1, min(threads, -(-len(rows) // tile)))
    chunk = max(tile, _WORK_OF_A_CHUNK // engine.work // tile * tile)
    shared = SharedRows(engine, rows, results, start, threads, chunk)
    run_together(shared.work, threads - 1, shared.cancel)


def checked_threads(threads: int | None) -> int | None:
    """Return how many threads a caller asks for, None for every CPU.

    Raises
    ------
    InputError
        ``invalid_thread_count``, also of ``INSTMODEL_NUM_THREADS``.
    """
    if threads is None:
        return requested_thread_count()
    count = values.integer_argument(threads, "threads")
    if count < 1:
        raise InputError(
            "invalid_thread_count",
            "not a number of threads",
            field="threads",
            expected="≥ 1, or None for every CPU",
            actual=count,
        )
    return count


def _slice(engine: Engine, buffer_slice: Any) -> tuple[int, int]:
    if buffer_slice is None:
        return engine.output_index_start, engine.output_index_start + engine.output_size
    if not isinstance(buffer_slice, (tuple, list)) or len(buffer_slice) != 2:
        raise InputError(
            "invalid_slice",
            "not a range",
            field="buffer_slice",
            expected="(start, stop)",
            actual=values.describe(buffer_slice),
        )
    start, stop = (values.integer_argument(edge, "buffer_slice") for edge in buffer_slice)
    if start >= stop:
        raise InputError(
            "invalid_slice",
            "the range is empty",
            field="buffer_slice",
            expected="start < stop",
            actual=f"({start}, {stop})",
        )
    if start < 0 or stop > engine.required_memory:
        raise InputError(
            "slice_out_of_bounds",
            "the range leaves the unified buffer",
            field="buffer_slice",
            expected=f"inside 0 … {engine.required_memory}",
            actual=f"({start}, {stop})",
        )
    return start, stop
