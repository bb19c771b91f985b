"""Rows that several threads work off together: each claims the next chunk until none is left."""

from cpython.exc cimport PyErr_CheckSignals
from libc.stdint cimport int64_t

cimport numpy as cnp

from instmodel._engine cimport Engine, Workspace

cnp.import_array()

cdef extern from "atomic.h" nogil:
    bint im_replace(int64_t *p, int64_t *expected, int64_t n)
    int64_t im_load(int64_t *p)
    void im_store(int64_t *p, int64_t n)


cdef class SharedRows:
    """Rows that threads run, and how far they are claimed.

    Parameters
    ----------
    engine : Engine
    x : ndarray of float32 (N, F), aligned, unit stride along features
    y : ndarray of float32 (N, size), C-ordered
        OUT: values start … start + size of each sample's unified buffer.
    start : int
    threads : int
        How many share the rows.
    chunk : int
        Rows that a thread claims at the most; towards the end, less and less, so that all threads
        end at about the same time.
    """

    cdef Engine engine
    cdef cnp.ndarray x
    cdef cnp.ndarray y
    cdef Py_ssize_t start
    cdef int64_t rows
    cdef int64_t threads
    cdef int64_t chunk
    cdef int64_t claimed    # shared: the next row that nobody has claimed

    def __cinit__(self, Engine engine not None, cnp.ndarray x not None, cnp.ndarray y not None,
                  Py_ssize_t start, Py_ssize_t threads, Py_ssize_t chunk):
        engine.check_rows()
        if (cnp.PyArray_NDIM(x) != 2 or cnp.PyArray_TYPE(x) != cnp.NPY_FLOAT32
                or cnp.PyArray_NDIM(y) != 2 or cnp.PyArray_TYPE(y) != cnp.NPY_FLOAT32
                or not cnp.PyArray_ISCARRAY(y) or cnp.PyArray_DIM(x, 0) != cnp.PyArray_DIM(y, 0)
                or cnp.PyArray_DIM(x, 1) != engine.feature_size
                or chunk < 1 or threads < 1 or start < 0
                or start + cnp.PyArray_DIM(y, 1) > engine.required_memory
                or (engine.feature_size > 1 and cnp.PyArray_STRIDE(x, 1) != sizeof(float))):
            raise ValueError("the arrays do not fit the engine")  # no one but a subclass gets here
        self.engine, self.x, self.y = engine, x, y
        self.start, self.threads, self.chunk = start, threads, chunk
        self.rows = cnp.PyArray_DIM(x, 0)

    def work(self, bint watch_signals=False):
        """Claim chunks until none is left; with `watch_signals`, let signals end it."""
        cdef Workspace workspace = self.engine.take()
        cdef bint more = True
        try:
            while more:
                with nogil:
                    more = self._next(workspace.tile)
                    while more and not watch_signals:
                        more = self._next(workspace.tile)
                if watch_signals:
                    PyErr_CheckSignals()
        finally:
            self.engine.give(workspace)

    def cancel(self):
        """Let no thread claim another chunk."""
        im_store(&self.claimed, self.rows)

    cdef int64_t _share(self, int64_t left) noexcept nogil:
        """Return how many of the rows that are left a thread should take."""
        cdef int64_t fair = max(1, left // (2 * self.threads))
        cdef int64_t unit = self.engine.tile_samples
        return min(left, self.chunk, (fair + unit - 1) // unit * unit)

    cdef bint _next(self, float *tile) noexcept nogil:
        cdef int64_t row = im_load(&self.claimed)
        cdef int64_t count
        cdef Py_ssize_t stride, size
        while True:
            if row >= self.rows:
                return False
            count = self._share(self.rows - row)
            if im_replace(&self.claimed, &row, row + count):
                break
        stride = cnp.PyArray_STRIDE(self.x, 0) // <Py_ssize_t> sizeof(float)
        size = cnp.PyArray_DIM(self.y, 1)
        self.engine.run_rows(
            <const float *> cnp.PyArray_DATA(self.x) + row * stride, stride, count, NULL,
            <float *> cnp.PyArray_DATA(self.y) + row * size, self.start, size, tile, NULL,
        )
        return True
