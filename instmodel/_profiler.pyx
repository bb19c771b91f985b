"""The clock of `instmodel.profiling`: it measures the parts of a run that the engine's loop tells it.

The loop is the one that everybody runs, so what is measured is what `predict` does, prefetching
included; only the clock itself comes between the parts.
"""

from libc.stdint cimport int64_t
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec

from instmodel._engine cimport FIRST_INSTRUCTION, Clock, Engine, Workspace
from instmodel._scan cimport Lanes, SharedSequences, run_lanes


# A clock that adds up; `clock` comes first, so that a pointer to it is one to all.
ctypedef struct Stopwatch:
    Clock clock
    int64_t *nanoseconds  # of each part
    int64_t last          # when the last part ended
    int64_t cost          # of a look at the clock


cdef int64_t WITHOUT_END = 1 << 62


cdef void start_watch(Stopwatch *watch, int64_t *nanoseconds) noexcept nogil:
    watch.clock.lap = lap
    watch.nanoseconds = nanoseconds
    watch.cost = clock_cost()
    watch.last = now()


cdef void lap(Clock *clock, int64_t part) noexcept nogil:
    cdef Stopwatch *watch = <Stopwatch *> clock
    cdef int64_t stop = now()
    watch.nanoseconds[part] += max(0, stop - watch.last - watch.cost)
    watch.last = stop


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
    x : float32 (N, F), N ≥ 1
    y : float32 (N, O)
        OUT: the outputs.
    nanoseconds : int64 (2 + instructions,)
        INOUT: reading the rows (0 where the first instruction does that), writing the results, then
        each instruction. What it costs to look at the clock is taken off.
    """
    engine.check_rows()
    if not (engine.op_count and x.shape[1] == engine.feature_size
            and y.shape[1] == engine.output_size and y.shape[0] == x.shape[0] > 0
            and nanoseconds.shape[0] == FIRST_INSTRUCTION + engine.op_count):
        raise ValueError("the arrays do not fit the engine")
    cdef Workspace workspace = engine.take()
    cdef Stopwatch watch
    with nogil:
        start_watch(&watch, &nanoseconds[0])
        engine.run_rows(&x[0, 0], engine.feature_size, x.shape[0], NULL, &y[0, 0],
                        engine.output_index_start, engine.output_size, workspace.tile, &watch.clock)
    engine.give(workspace)


def profile_sequences(Engine engine not None, SharedSequences shared not None,
                      int64_t[::1] nanoseconds not None) -> None:
    """Run sequences on this thread, and add up what each part took.

    Parameters
    ----------
    engine : Engine
    shared : SharedSequences
        Of this engine, that nobody else works off.
    nanoseconds : int64 (2 + instructions,)
        INOUT: as in `profile_rows`.
    """
    if shared.engine is not engine or nanoseconds.shape[0] != FIRST_INSTRUCTION + engine.op_count:
        raise ValueError("the arrays do not fit the engine")
    cdef Lanes lanes = Lanes(engine)
    cdef Stopwatch watch
    with nogil:
        start_watch(&watch, &nanoseconds[0])
        run_lanes(engine, shared, lanes, WITHOUT_END, &watch.clock)
    engine.give(lanes.workspace)


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
