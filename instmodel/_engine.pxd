"""What an engine holds."""

cimport numpy as cnp
from libc.stdint cimport int64_t

from instmodel._kernels cimport im_kernels, im_map, im_op, im_soon

cdef im_soon NOTHING


# The parts of a run that a clock tells apart: two of the loop's own, then the instructions.
cdef enum:
    READ_ROWS = 0
    WRITE_RESULTS = 1
    FIRST_INSTRUCTION = 2

# Who measures a run, see `instmodel._profiler`; the loop calls it at the end of every part.
ctypedef struct Clock:
    void (*lap)(Clock *clock, int64_t part) noexcept nogil


# A tile of samples: their unified buffers, feature-major.
ctypedef struct Tile:
    float *values    # (buffers, required_memory, T)
    int64_t samples
    int64_t buffers  # 1, or with T = 1 one for each sample: they run side by side
    int64_t T


cdef class Workspace:
    """The tile of one thread: memory that a run needs and nobody else may touch meanwhile."""

    cdef float *tile  # (required_memory, T), 64-byte aligned
    cdef void *block
    cdef Workspace next  # of the idle ones: a list without allocations


cdef class Engine:
    """A compiled program. Everything but the idle workspaces is constant once compiled."""

    cdef const im_kernels *kernels
    cdef const im_op *ops            # (op_count,)
    cdef int64_t op_count
    cdef const int64_t *operands
    cdef const float *weights        # packed dense layers
    cdef const float *constants      # everything else
    cdef im_map *maps                # (map_count,), owned
    cdef const int64_t *gaps         # (gap_count, 2)
    cdef int64_t gap_count
    cdef const int64_t *states       # (state_count, 2): the state buffers, start and stop
    cdef int64_t state_count         # 0: rows are independent of each other
    cdef const float *initial_state  # (state_size,)
    cdef readonly Py_ssize_t state_size  # floats of state of a sequence
    cdef readonly bint first_reads_rows  # the first instruction needs no tile of the input
    cdef int64_t first_dense         # -1 if there is no dense layer
    cdef int64_t last_dense
    cdef bint weights_in_l2
    cdef readonly Py_ssize_t required_memory
    cdef readonly Py_ssize_t feature_size
    cdef readonly Py_ssize_t output_size
    cdef readonly Py_ssize_t output_index_start
    cdef readonly Py_ssize_t work
    cdef readonly Py_ssize_t tile_samples  # T of a full tile
    cdef readonly Py_ssize_t few_samples   # so many at the most run side by side, T = 1
    cdef object _alive               # the arrays behind the pointers
    cdef Workspace _idle             # the first of the idle ones

    cdef int64_t _full_tile(self) noexcept
    cdef int64_t _too_few(self) noexcept
    cdef int _set_maps(self, list tables) except -1
    cdef int _check_compiled(self) except -1
    cdef int check_rows(self) except -1
    cdef Workspace take(self)
    cdef void give(self, Workspace workspace)
    cdef void run_rows(self, const float *x, Py_ssize_t stride, Py_ssize_t n, float *state,
                       float *y, Py_ssize_t start, Py_ssize_t size, float *values,
                       Clock *clock) noexcept nogil
    cdef int run_array(self, const float *x, Py_ssize_t stride, Py_ssize_t n, float *state,
                       float *y) except -1
    cdef cnp.ndarray _predict_float32(self, cnp.ndarray x, cnp.ndarray out)
    cdef void _run_in_place(self, float *values) noexcept nogil
    cdef cnp.ndarray _step_float32(self, cnp.ndarray x, cnp.ndarray state)


cdef void zero_gaps(Engine engine, const Tile *tile) noexcept nogil
cdef void run_tile(Engine engine, const Tile *tile, int64_t first, im_soon rows, im_soon results,
                   Clock *clock) noexcept nogil
cdef void end_of_part(Clock *clock, int64_t part) noexcept nogil
