"""Sequences that several threads work off together: a lane of a tile is a sequence.

Design
------
A. The state of a lane stays in the tile from step to step. Each lane reads rows of its own, and
   when its sequence ends, it takes the next one at once: ragged lengths leave no lane idle.
B. Towards the end, when no sequence is left to take, the lanes that still run one move together,
   into a narrower tile, and at last side by side with T = 1, as few samples do elsewhere.
C. What runs is `run_tile`, once a step, the same as for rows: a step cannot know whether its
   neighbours are rows, or at which step they are.
"""

from cpython.exc cimport PyErr_CheckSignals
from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc
from libc.stdint cimport int64_t, uint64_t

cimport numpy as cnp

from instmodel._engine cimport (
    NOTHING, READ_ROWS, WRITE_RESULTS, Clock, Engine, Tile, end_of_part, run_tile, zero_gaps,
)
from instmodel._kernels cimport im_fp_enter, im_fp_leave

cnp.import_array()

cdef extern from "atomic.h" nogil:
    bint im_replace(int64_t *p, int64_t *expected, int64_t n)
    int64_t im_load(int64_t *p)
    void im_store(int64_t *p, int64_t n)

# Work between two looks at pending signals, in the units of `Engine.work`: some milliseconds.
cdef int64_t WORK_BETWEEN_SIGNALS = 500_000_000


cdef class Lanes:
    """The lanes of one thread's tile: which sequence each runs, and how far it is.

    Only the first `count` lanes run one.
    """

    def __cinit__(self, Engine engine not None):
        cdef int64_t lanes = engine.tile_samples
        self.workspace = engine.take()
        self.tile.values = self.workspace.tile
        self.block = PyMem_RawMalloc(lanes * (3 * sizeof(int64_t) + 2 * sizeof(void *)
                                              + engine.state_size * sizeof(float)))
        if self.block == NULL:
            raise MemoryError()
        self.sequence = <int64_t *> self.block
        self.position = self.sequence + lanes
        self.left = self.position + lanes
        self.source = <const float **> (self.left + lanes)
        self.target = <float **> (self.source + lanes)
        self.states = <float *> (self.target + lanes)

    def __dealloc__(self):
        PyMem_RawFree(self.block)


cdef class SharedSequences:
    """Sequences that threads run, and how far they are claimed.

    Parameters
    ----------
    engine : Engine
    x : ndarray of float32 (R, F), aligned, unit stride along features
        The rows of all sequences.
    starts, lengths : ndarray of int64 (N,)
        The first step of each sequence, and how many it has: steps start … start + length - 1.
    y : ndarray of float32 (R, O), C-ordered; (N, O) if `last`
        OUT: the output of each row, or of the last step of each sequence that has any.
    last : bool
    rows : ndarray of int64, optional
        The row of each step; by default they are the same.
    state : ndarray of float32 (K, S), C-ordered, optional
        INOUT: where each sequence starts, and where it ended.
    slots : ndarray of int64 (N,), optional
        Which row of `state`, and of `y` if `last`, is that of each sequence; by default they are in
        the same order. None may come twice.
    threads : int
        How many share the sequences.
    """

    def __cinit__(self, Engine engine not None, cnp.ndarray x not None,
                  const int64_t[::1] starts not None, const int64_t[::1] lengths not None,
                  cnp.ndarray y not None, bint last, const int64_t[::1] rows,
                  cnp.ndarray state, const int64_t[::1] slots, Py_ssize_t threads):
        cdef int64_t n = starts.shape[0]
        cdef int64_t lanes = engine.kernels.lanes
        if (not engine.op_count or threads < 1 or lengths.shape[0] != n
                or not _is_table(x, engine.feature_size)
                or (engine.feature_size > 1 and cnp.PyArray_STRIDE(x, 1) != sizeof(float))
                or not _is_table(y, engine.output_size) or not cnp.PyArray_ISCARRAY(y)
                or cnp.PyArray_DIM(y, 0) != (n if last else cnp.PyArray_DIM(x, 0))
                or (state is not None and not (_is_table(state, engine.state_size)
                                               and cnp.PyArray_ISCARRAY(state)))
                or (slots is not None and slots.shape[0] != n)
                or (state is not None and slots is None and cnp.PyArray_DIM(state, 0) != n)):
            raise ValueError("the arrays do not fit the engine")  # nobody but a mistake gets here
        self.engine, self.sequences, self.threads, self.last = engine, n, threads, last
        self._alive = (x, y, starts, lengths, rows, state, slots)
        self.x = <const float *> cnp.PyArray_DATA(x)
        self.x_stride = cnp.PyArray_STRIDE(x, 0) // <Py_ssize_t> sizeof(float)
        self.y = <float *> cnp.PyArray_DATA(y)
        if n:
            self.starts, self.lengths = &starts[0], &lengths[0]
        if rows is not None and rows.shape[0]:
            self.rows = &rows[0]
        if state is not None and cnp.PyArray_DIM(state, 0):
            self.state = <float *> cnp.PyArray_DATA(state)
        if slots is not None and n:
            self.slots = &slots[0]
        fair = (n + threads - 1) // threads
        self.width = max(1, min(engine.tile_samples, (fair + lanes - 1) // lanes * lanes))

    def work(self, bint watch_signals=False):
        """Claim sequences until none is left; with `watch_signals`, let signals end it."""
        cdef Engine engine = self.engine
        cdef Lanes lanes = Lanes(engine)
        cdef bint more = True
        try:
            while more:
                with nogil:
                    more = run_lanes(engine, self, lanes, WORK_BETWEEN_SIGNALS, NULL)
                if watch_signals:
                    PyErr_CheckSignals()
        finally:
            engine.give(lanes.workspace)

    def cancel(self):
        """Let no thread claim another sequence."""
        im_store(&self.claimed, self.sequences)


cdef bint _is_table(cnp.ndarray array, int64_t columns) noexcept:
    return (cnp.PyArray_NDIM(array) == 2 and cnp.PyArray_TYPE(array) == cnp.NPY_FLOAT32
            and cnp.PyArray_DIM(array, 1) == columns)


# ---------------------------------------------------------------------------------------- the loop


cdef bint run_lanes(Engine engine, SharedSequences shared, Lanes lanes, int64_t budget,
                    Clock *clock) noexcept nogil:
    """Run steps until their work is more than the budget; return whether there is more to do.

    clock : NULL if nobody measures
    """
    cdef uint64_t mode = im_fp_enter()
    cdef int64_t steps
    take_sequences(engine, shared, lanes)
    while lanes.count > 0 and budget > 0:
        steps = min(least(lanes.left, lanes.count), 1 + budget // (lanes.count * engine.work))
        run_steps(engine, shared, lanes, steps, clock)
        budget -= steps * lanes.count * engine.work
        if least(lanes.left, lanes.count) == 0:
            retire(engine, shared, lanes)
    im_fp_leave(mode)
    return lanes.count > 0


cdef void run_steps(Engine engine, SharedSequences shared, Lanes lanes, int64_t steps,
                    Clock *clock) noexcept nogil:
    """Run steps in which no sequence ends but after the last one."""
    cdef int64_t step, i
    for step in range(steps):
        load_steps(engine, shared, lanes)
        zero_gaps(engine, &lanes.tile)
        end_of_part(clock, READ_ROWS)
        run_tile(engine, &lanes.tile, 0, NOTHING, NOTHING, clock)
        if not shared.last or step == steps - 1:
            store_steps(engine, lanes)
        for i in range(lanes.count):
            lanes.position[i] += 1
        if not shared.last:
            for i in range(lanes.count):
                lanes.target[i] += engine.output_size
        end_of_part(clock, WRITE_RESULTS)
    for i in range(lanes.count):
        lanes.left[i] -= steps


cdef void load_steps(Engine engine, SharedSequences shared, Lanes lanes) noexcept nogil:
    """Read the row of each lane's next step."""
    cdef Tile *tile = &lanes.tile
    cdef int64_t i
    if shared.rows == NULL:
        for i in range(lanes.count):
            lanes.source[i] = shared.x + lanes.position[i] * shared.x_stride
    else:
        for i in range(lanes.count):
            lanes.source[i] = shared.x + shared.rows[lanes.position[i]] * shared.x_stride
            if not shared.last:
                lanes.target[i] = shared.y + shared.rows[lanes.position[i]] * engine.output_size
    if tile.T == 1:
        for i in range(lanes.count):
            engine.kernels.load_tile(lanes.source[i], 0, 1, engine.feature_size,
                                     tile.values + i * engine.required_memory, 1)
        return
    for i in range(lanes.count, tile.T):  # whose results nobody reads
        lanes.source[i] = lanes.source[0]
    engine.kernels.load_lanes(lanes.source, 2 * shared.x_stride, engine.feature_size, tile.values,
                              tile.T)


cdef void store_steps(Engine engine, Lanes lanes) noexcept nogil:
    cdef Tile *tile = &lanes.tile
    cdef float *output = tile.values + engine.output_index_start * tile.T
    cdef int64_t i
    if tile.T > 1:
        engine.kernels.store_lanes(output, tile.T, lanes.count, engine.output_size, lanes.target)
        return
    for i in range(lanes.count):
        engine.kernels.store_tile(output + i * engine.required_memory, 1, 1, engine.output_size,
                                  lanes.target[i], engine.output_size)


cdef int64_t least(const int64_t *values, int64_t n) noexcept nogil:
    cdef int64_t found = values[0]
    cdef int64_t i
    for i in range(1, n):
        found = min(found, values[i])
    return found


# --------------------------------------------------------------------------- sequences and lanes


cdef void take_sequences(Engine engine, SharedSequences shared, Lanes lanes) noexcept nogil:
    """Let lanes that run nothing begin with a sequence, before the first step of a thread."""
    cdef int64_t sequence
    if lanes.count:
        return
    while lanes.count < shared.width:
        sequence = next_sequence(shared, lanes)
        if sequence < 0:
            break
        lanes.sequence[lanes.count] = sequence
        lanes.count += 1
    shape_lanes(engine, lanes)
    cdef int64_t lane
    for lane in range(lanes.count):
        begin(engine, shared, lanes, lane, lanes.sequence[lane])


cdef void retire(Engine engine, SharedSequences shared, Lanes lanes) noexcept nogil:
    """Let lanes whose sequence has ended take the next one; if there is none, close the ranks."""
    cdef int64_t before = lanes.count
    cdef int64_t lane = 0
    cdef int64_t sequence, last
    while lane < lanes.count:
        if lanes.left[lane]:
            lane += 1
            continue
        end(engine, shared, lanes, lane)
        sequence = next_sequence(shared, lanes)
        if sequence >= 0:
            begin(engine, shared, lanes, lane, sequence)
            lane += 1
            continue
        lanes.count -= 1
        last = lanes.count
        if lane < last:  # which is looked at next, in its new place
            get_state(engine, lanes, last, lanes.states)
            put_state(engine, lanes, lane, lanes.states)
            lanes.sequence[lane], lanes.position[lane] = lanes.sequence[last], lanes.position[last]
            lanes.left[lane], lanes.target[lane] = lanes.left[last], lanes.target[last]
    if 0 < lanes.count < before and is_too_wide(engine, lanes):
        for lane in range(lanes.count):
            get_state(engine, lanes, lane, lanes.states + lane * engine.state_size)
        shape_lanes(engine, lanes)
        for lane in range(lanes.count):
            put_state(engine, lanes, lane, lanes.states + lane * engine.state_size)


cdef int64_t next_sequence(SharedSequences shared, Lanes lanes) noexcept nogil:
    """Return a sequence that has steps and that nobody has run yet, or -1."""
    cdef int64_t sequence
    while True:
        if lanes.waiting == lanes.stop and not claim(shared, lanes):
            return -1
        sequence = lanes.waiting
        lanes.waiting += 1
        if shared.lengths[sequence]:
            return sequence


cdef bint claim(SharedSequences shared, Lanes lanes) noexcept nogil:
    """Claim sequences for this thread; fewer and fewer, so that all threads end together."""
    cdef int64_t first = im_load(&shared.claimed)
    cdef int64_t count
    while first < shared.sequences:
        count = max(1, min(shared.width, (shared.sequences - first) // (4 * shared.threads)))
        if im_replace(&shared.claimed, &first, first + count):
            lanes.waiting, lanes.stop = first, first + count
            return True
    return False


cdef void begin(Engine engine, SharedSequences shared, Lanes lanes, int64_t lane, int64_t sequence) noexcept nogil:
    """Let a lane run a sequence from its first step on."""
    cdef int64_t slot = sequence if shared.slots == NULL else shared.slots[sequence]
    lanes.sequence[lane] = sequence
    lanes.position[lane] = shared.starts[sequence]
    lanes.left[lane] = shared.lengths[sequence]
    lanes.target[lane] = shared.y + engine.output_size * (
        slot if shared.last else shared.starts[sequence])
    if shared.state == NULL:
        put_state(engine, lanes, lane, engine.initial_state)
        return
    # Whose denormals become zero on the way.
    engine.kernels.load_tile(shared.state + slot * engine.state_size, 0, 1, engine.state_size,
                             lanes.states, 1)
    put_state(engine, lanes, lane, lanes.states)


cdef void end(Engine engine, SharedSequences shared, Lanes lanes, int64_t lane) noexcept nogil:
    """Keep the state that a lane ended with, if anybody wants it."""
    cdef int64_t slot = lanes.sequence[lane]
    if shared.state == NULL:
        return
    if shared.slots != NULL:
        slot = shared.slots[slot]
    get_state(engine, lanes, lane, lanes.states)
    engine.kernels.store_tile(lanes.states, 1, 1, engine.state_size,
                              shared.state + slot * engine.state_size, engine.state_size)


# ------------------------------------------------------------------------------- lanes of a tile


cdef int64_t lanes_of_tile(Engine engine, int64_t count) noexcept nogil:
    """Return the T of a tile in which so many sequences run."""
    cdef int64_t lanes = engine.kernels.lanes
    return 1 if count <= engine.few_samples else (count + lanes - 1) // lanes * lanes


cdef bint is_too_wide(Engine engine, Lanes lanes) noexcept nogil:
    return lanes_of_tile(engine, lanes.count) < lanes.tile.T


cdef void shape_lanes(Engine engine, Lanes lanes) noexcept nogil:
    """Shape the tile for the sequences that run; it holds no state yet."""
    lanes.tile.samples = lanes.count
    lanes.tile.T = lanes_of_tile(engine, lanes.count)
    lanes.tile.buffers = lanes.count if lanes.tile.T == 1 else 1


cdef void put_state(Engine engine, Lanes lanes, int64_t lane, const float *state) noexcept nogil:
    """Write the state of one lane, IN (S,), into the tile."""
    cdef Tile *tile = &lanes.tile
    cdef float *values = tile.values + lane * (1 if tile.T > 1 else engine.required_memory)
    cdef int64_t i, k
    for k in range(engine.state_count):
        for i in range(engine.states[2 * k], engine.states[2 * k + 1]):
            values[i * tile.T] = state[0]
            state += 1


cdef void get_state(Engine engine, Lanes lanes, int64_t lane, float *state) noexcept nogil:
    """Read the state of one lane, OUT (S,), from the tile."""
    cdef Tile *tile = &lanes.tile
    cdef const float *values = tile.values + lane * (1 if tile.T > 1 else engine.required_memory)
    cdef int64_t i, k
    for k in range(engine.state_count):
        for i in range(engine.states[2 * k], engine.states[2 * k + 1]):
            state[0] = values[i * tile.T]
            state += 1
