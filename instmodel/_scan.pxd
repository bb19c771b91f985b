"""What threads that run sequences share, and what each has of its own."""

from libc.stdint cimport int64_t

from instmodel._engine cimport Clock, Engine, Tile, Workspace


cdef class Lanes:
    """The lanes of one thread's tile: which sequence each runs, and how far it is."""

    cdef Workspace workspace
    cdef void *block
    cdef int64_t *sequence
    cdef int64_t *position       # of the next step, among all steps
    cdef int64_t *left           # steps
    cdef const float **source    # the row of the next step, (T,): those of no sequence read any
    cdef float **target          # where its output goes
    cdef float *states           # scratch, (lanes, S)
    cdef int64_t count
    cdef int64_t waiting, stop   # sequences that this thread has claimed, and no lane runs yet
    cdef Tile tile


cdef class SharedSequences:
    """Sequences that threads run, and how far they are claimed."""

    cdef Engine engine
    cdef object _alive
    cdef const float *x
    cdef int64_t x_stride
    cdef float *y
    cdef bint last
    cdef const int64_t *starts
    cdef const int64_t *lengths
    cdef const int64_t *rows     # NULL: the row of a step is the step
    cdef float *state            # NULL: all start anew, and nobody asks where they end
    cdef const int64_t *slots    # NULL: a sequence has its own row of state
    cdef int64_t sequences
    cdef int64_t threads
    cdef int64_t width           # lanes that a thread fills
    cdef int64_t claimed         # shared: the next sequence that nobody has claimed


cdef bint run_lanes(Engine engine, SharedSequences shared, Lanes lanes, int64_t budget,
                    Clock *clock) noexcept nogil
