"""A clock inside the interpreter's loop, for `instmodel.profiling`.

A module of its own: the loop that everybody runs (`Engine.run_rows`) has no clock, so that it costs
nothing when nobody looks.
"""

from libc.stdint cimport int64_t, uint64_t
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec

from instmodel._engine cimport Engine, Workspace, run_first, run_op
from instmodel._kernels cimport im_fp_enter, im_fp_leave, im_soon


cdef int64_t now() noexcept nogil:
    cdef timespec t
    clock_gettime(CLOCK_MONOTONIC, &t)
    return <int64_t> t.tv_sec * 1_000_000_000 + t.tv_nsec


cdef int64_t clock_cost() noexcept nogil:
    """Return the nanoseconds from one look at the clock to the next."""
    cdef int64_t start, cost, least = 1_000_000
    cdef int i
    for i in range(100):
        start = now()
        cost = now() - start
        least = min(least, cost)
    return least


def profile_rows(Engine engine not None, const float[:, ::1] x not None, float[:, ::1] y not None,
                 int64_t[::1] nanoseconds not None) -> None:
    """Run samples on this thread, and add up what each part took.

    Parameters
    ----------
    engine : Engine
    x : float32 (N, F)
    y : float32 (N, O)
        OUT: the outputs.
    nanoseconds : int64 (2 + instructions,)
        INOUT: reading the rows (0 where the first instruction does that), writing the results, then
        each instruction. What it costs to look at the clock is taken off.
    """
    if not (engine.op_count and x.shape[1] == engine.feature_size
            and y.shape[1] == engine.output_size and y.shape[0] == x.shape[0]
            and nanoseconds.shape[0] == 2 + engine.op_count):
        raise ValueError("the arrays do not fit the engine")
    cdef Workspace workspace = engine.take()
    cdef float *tile = workspace.tile
    cdef int64_t row = 0, i, count, T, cost
    cdef bint from_rows
    cdef im_soon nothing
    nothing.at, nothing.bytes = NULL, 0
    cdef int64_t left = x.shape[0]
    cdef int64_t start, stop
    cdef uint64_t mode
    with nogil:
        mode = im_fp_enter()
        cost = clock_cost()
        while left > 0:
            count = engine.tile_for(left, &T)
            from_rows = engine.first_reads_rows and T > 1
            stop = start = now()
            if not from_rows:
                engine.kernels.load_tile(&x[row, 0], engine.feature_size, count,
                                         engine.feature_size, tile, T)
                engine.zero_gaps(tile, T)
                stop = now()
                nanoseconds[0] += max(0, stop - start - cost)
            for i in range(engine.op_count):
                start = stop
                if i == 0 and from_rows:
                    run_first(engine, &x[row, 0], engine.feature_size, count, tile, T)
                    engine.zero_gaps(tile, T)
                else:
                    run_op(engine, &engine.ops[i], tile, T, nothing)
                stop = now()
                nanoseconds[2 + i] += max(0, stop - start - cost)
            start = stop
            engine.kernels.store_tile(tile + engine.output_index_start * T, T, count,
                                      engine.output_size, &y[row, 0])
            stop = now()
            nanoseconds[1] += max(0, stop - start - cost)
            row += count
            left -= count
        im_fp_leave(mode)
    engine.give(workspace)


def peak_rate(Engine engine not None, int64_t steps) -> float:
    """Return the float32 operations per second of this thread when it does nothing but FMAs."""
    cdef int64_t flops = 0, start, took
    cdef double total
    with nogil:
        start = now()
        total = engine.kernels.peak(steps, &flops)
        took = now() - start
    if not 11 < total < 13:
        raise RuntimeError("the loop lost some of its work")
    return 1e9 * flops / max(took, 1)
