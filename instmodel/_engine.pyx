# cython: auto_pickle=False
# InstructionModel says how a model is pickled; what Cython adds would be in the way of its state.
"""The interpreter: runs a lowered program over tiles of samples, without the GIL.

Design
------
A. `run_op` runs an instruction by calling its C kernels; `run_tile` loops over them all.
B. `Engine.run_rows` cuts rows into tiles: transposes them in, runs, transposes the results out.
   Where a narrow layer is all that the input is needed for, `run_first` computes it from the rows.
   There is no other loop: threads share out its rows, and a profile is the same run with a clock.
C. Samples that are too few for a tile run side by side, each in a unified buffer of its own: a tile
   of several buffers with T = 1. Only the matrix products see more than one of them at a time.
D. `Engine.predict` … are what Python sees. They have one short path for what arrives as float32,
   and leave everything else to plain Python (`instmodel.base.arrays`).

Nothing here checks an index: `instmodel.document.validate` did, and an `Engine` is only ever made
of a program that came through it.
"""

from cpython.exc cimport PyErr_CheckSignals
from cpython.mem cimport PyMem_Calloc, PyMem_Free, PyMem_RawCalloc, PyMem_RawFree
from libc.stdint cimport int32_t, int64_t, uint64_t, uintptr_t
from libc.string cimport memmove, memset

cimport numpy as cnp

from instmodel._kernels cimport *

import os

import numpy as np

from instmodel.base import arrays
from instmodel._kernels import isa
from instmodel.errors import InputError

cnp.import_array()

# What a thread does between two looks at pending signals: some milliseconds (see Program.work).
cdef int64_t WORK_BETWEEN_SIGNALS = 500_000_000
# Calls of up to two microseconds keep the GIL: giving it up and taking it back costs them more.
cdef int64_t WORK_WITH_GIL = 200_000
# A tile should leave room in L1 (32 KiB on the smallest common cores).
cdef int64_t TILE_BYTES = 32 * 1024
# Weights beyond this many bytes leave L2 between tiles.
cdef int64_t WEIGHTS_IN_L2 = 1024 * 1024
# Beyond this many bytes a tile is as narrow as a vector.
cdef int64_t WIDE_TILE_BYTES = 8 * 1024 * 1024
# Floats of a tile that is too large to keep one for each thread that ever ran: 1 MiB.
cdef int64_t LARGE_TILE = 256 * 1024
# Rows converted to float32 at a time when the input has another type.
cdef Py_ssize_t ROWS_CONVERTED = 65_536

# What `Engine._too_few` counts, in multiply-adds of vectors, as measured on a Sapphire Rapids:
# a multiply-add of a tile as narrow as a vector (every other operation there is a load),
cdef double NARROW_TILE = 1.25
# a value that is transposed into or out of such a tile,
cdef int64_t TRANSPOSED_VALUE = 5
# a call for one sample,
cdef int64_t CALL = 64
# and a value of one sample that is summed up: each addition waits for the last.
cdef int64_t SUMMED_VALUE = 12

NOTHING.at, NOTHING.bytes = NULL, 0


# -------------------------------------------------------------------------------------- workspace


cdef class Workspace:
    def __cinit__(self, Py_ssize_t floats):
        self.block = PyMem_RawCalloc(floats * sizeof(float) + 64, 1)
        if self.block == NULL:
            raise MemoryError()
        self.tile = <float *> ((<uintptr_t> self.block + 63) & ~<uintptr_t> 63)

    def __dealloc__(self):
        PyMem_RawFree(self.block)


# ----------------------------------------------------------------------------------------- engine


cdef class Engine:
    """A compiled program; `instmodel.InstructionModel` is the public class on top of it."""

    def __cinit__(self, *args, **kwargs):
        pass  # takes what __init__ of a subclass takes

    def __dealloc__(self):
        PyMem_Free(self.maps)

    def _compile(self, program):
        """Take over a `Program`. It must come from `program.lower`; may be called once."""
        if self.op_count:
            raise RuntimeError("already compiled")
        isa()  # raises when INSTMODEL_ISA names none that is there
        cdef const int64_t[:, ::1] code = program.code
        cdef const int64_t[:, ::1] gaps = program.gaps
        cdef const int64_t[:, ::1] states = program.states
        cdef const float[::1] initial_state = program.initial_state
        cdef cnp.ndarray operands = program.operands
        cdef cnp.ndarray constants = program.constants
        cdef cnp.ndarray weights = program.weights
        cdef int64_t i
        if code.shape[1] * sizeof(int64_t) != sizeof(im_op):
            raise RuntimeError("Op and im_op differ")
        self.kernels = CHOSEN
        self.operands = <const int64_t *> cnp.PyArray_DATA(operands)
        self.weights = <const float *> cnp.PyArray_DATA(weights)
        self.constants = <const float *> cnp.PyArray_DATA(constants)
        self.required_memory = program.required_memory
        self.feature_size = program.feature_size
        self.output_size = program.output_size
        self.output_index_start = program.output_start
        # Narrower vectors take longer; `work` counts in units of the widest.
        self.work = program.work * max(1, 16 // self.kernels.lanes)
        self._alive = [program.code, program.gaps, operands, weights, constants, program.states,
                       program.initial_state]
        self._set_maps(program.maps)
        self.gap_count = gaps.shape[0]
        if self.gap_count:
            self.gaps = &gaps[0, 0]
        self.state_count = states.shape[0]
        self.state_size = initial_state.shape[0]
        if self.state_count:
            self.states, self.initial_state = &states[0, 0], &initial_state[0]
        self.weights_in_l2 = cnp.PyArray_NBYTES(weights) <= WEIGHTS_IN_L2
        self.tile_samples = self._full_tile()
        self.ops = <const im_op *> &code[0, 0]
        self.op_count = code.shape[0]
        self.first_dense = self.last_dense = -1
        for i in range(self.op_count):
            if self.ops[i].opcode in (IM_DOT, IM_ATTENTION):
                self.last_dense = i
                if self.first_dense < 0:
                    self.first_dense = i
        self.first_reads_rows = program.first_alone_reads_input and reads_rows_faster(
            self.ops[0].input_size, self.ops[0].output_size, self.kernels.lanes
        )
        self.few_samples = self._too_few()

    cdef int64_t _full_tile(self) noexcept:
        """Choose T: whole register blocks that fit the cache, but one at least.

        That one does enough with every weight to hide where the weights come from, L2 or beyond.
        """
        cdef int64_t bytes_per_sample = self.required_memory * sizeof(float)
        cdef int64_t block = self.kernels.block
        if block * bytes_per_sample > WIDE_TILE_BYTES:
            return self.kernels.lanes
        return block * max(1, TILE_BYTES // (block * bytes_per_sample))

    cdef int64_t _too_few(self) noexcept:
        """Return how many samples are too few for a tile: side by side they take less time.

        Both are counted in multiply-adds of vectors. In a tile, a lane is a sample, and takes its
        time without one, too. Side by side, a lane is an output of a dense layer, and `dense_few`
        computes four samples at a time; all that is no product is done for one after the other.
        """
        cdef int64_t lanes = self.kernels.lanes
        cdef double tile = 0       # as narrow as a vector
        cdef int64_t products = 0  # of a sample side by side with others
        cdef int64_t others = 2 * CALL
        cdef int64_t samples, i, panels
        cdef const im_op *op
        for i in range(self.op_count):
            op = &self.ops[i]
            if op.opcode in (IM_DOT, IM_ATTENTION):
                tile += NARROW_TILE * op.input_size * op.output_size
                panels = (op.output_size + IM_PANEL - 1) // IM_PANEL
                # A vector alone would wait for its own sums.
                products += op.input_size * max(2, panels * IM_PANEL // lanes)
            if op.opcode != IM_DOT or op.activation > IM_RELU:
                others += CALL
            if op.opcode == IM_ATTENTION or op.activation == IM_SOFTMAX:
                others += SUMMED_VALUE * op.output_size
            elif op.opcode == IM_REDUCE_SUM:
                others += SUMMED_VALUE * op.input_size
        tile += TRANSPOSED_VALUE * self.output_size
        if not self.first_reads_rows:
            tile += TRANSPOSED_VALUE * self.feature_size
        if not self.weights_in_l2:
            products += products // 3  # the first four wait for the weights; a tile asks ahead
        samples = lanes - 1
        while samples > 1 and by_fours(samples) * products + samples * others > tile:
            samples -= 1
        return max(samples, 1)

    cdef int _set_maps(self, list tables) except -1:
        cdef const int32_t[::1] keys
        cdef const float[:, ::1] rows
        cdef int32_t[::1] index
        cdef int32_t[:, ::1] slots
        cdef im_map *entry
        cdef int64_t span
        self.maps = <im_map *> PyMem_Calloc(len(tables) + 1, sizeof(im_map))
        if self.maps == NULL:
            raise MemoryError()
        for number, table in enumerate(tables):
            keys, rows = table.keys, table.rows
            if keys.shape[0] == 0:
                continue  # all zero: every key is unknown
            entry = &self.maps[number]
            entry.values = &rows[0, 0]
            span = <int64_t> keys[keys.shape[0] - 1] - keys[0] + 1
            if span == keys.shape[0]:
                entry.first_key, entry.span = keys[0], span
                array = None
            elif span <= 4 * keys.shape[0] + 1024:
                array = np.full(span, -1, np.int32)
                array[np.subtract(table.keys, keys[0], dtype=np.int64)] = np.arange(
                    keys.shape[0], dtype=np.int32
                )
                index = array
                entry.first_key, entry.span, entry.index = keys[0], span, &index[0]
            else:
                entry.bits = int(keys.shape[0]).bit_length() + 1
                array = np.full((1 << entry.bits, 2), -1, np.int32)
                slots = array
                entry.slots = &slots[0, 0]
                entry.multiplier = int.from_bytes(os.urandom(8), "little") | 1
                im_hash_build(&keys[0], keys.shape[0], &slots[0, 0], entry.multiplier, entry.bits)
            self._alive.extend((table.rows, array))
        return 0

    # ----------------------------------------------------------------------------------- the loop

    cdef void run_rows(self, const float *x, Py_ssize_t stride, Py_ssize_t n, float *state,
                       float *y, Py_ssize_t start, Py_ssize_t size, float *values,
                       Clock *clock) noexcept nogil:
        """Run n samples and return a slice of each one's unified buffer.

        x : IN (n, F), `stride` floats from row to row
        state : INOUT (n, S), of a step of as many sequences; NULL for a model without
        y : OUT (n, size), values start … start + size of the unified buffer
        values : scratch (required_memory, tile_samples)
        clock : NULL if nobody measures
        """
        cdef uint64_t mode = im_fp_enter()
        cdef Tile tile
        # The input is part of the result where the slice begins in it.
        cdef bint from_rows = self.first_reads_rows and start >= self.feature_size
        cdef im_soon rows = NOTHING
        cdef im_soon results = NOTHING
        tile.values = values
        if n == 1:
            stride = 0  # NumPy has any number there: a pointer must not move by it
        while n > 0:
            shape_tile(self, &tile, n)
            n -= tile.samples
            if self.weights_in_l2:  # else dense layers ask for their next weights
                rows.at = x + tile.samples * stride if n else NULL
                rows.bytes = min(n, tile.samples) * max(stride, 0) * sizeof(float)
                results.at = y
                results.bytes = tile.samples * size * sizeof(float)
            zero_gaps(self, &tile)
            if state != NULL:
                load_states(self, &tile, state)
            if from_rows and tile.T > 1:
                run_first(self, &tile, x, stride)
                end_of_part(clock, FIRST_INSTRUCTION)
                run_tile(self, &tile, 1, rows, results, clock)
            else:
                load_rows(self, &tile, x, stride)
                end_of_part(clock, READ_ROWS)
                run_tile(self, &tile, 0, rows, results, clock)
            store_rows(self, &tile, y, start, size)
            if state != NULL:
                store_states(self, &tile, state)
                state += tile.samples * self.state_size
            end_of_part(clock, WRITE_RESULTS)
            x += tile.samples * stride
            y += tile.samples * size
        im_fp_leave(mode)

    cdef Workspace take(self):
        """Take an idle workspace, or make one; `give` it back when done."""
        cdef Workspace workspace = self._idle
        if workspace is None:
            return Workspace(self.required_memory * self.tile_samples)
        self._idle, workspace.next = workspace.next, None
        return workspace

    cdef void give(self, Workspace workspace):
        # Keep one of the large ones: after a wide parallel run they would be memory for nothing.
        if self._idle is not None and self.tile_samples * self.required_memory > LARGE_TILE:
            return
        workspace.next, self._idle = self._idle, workspace

    cdef int run_array(self, const float *x, Py_ssize_t stride, Py_ssize_t n, float *state,
                       float *y) except -1:
        """Run n samples for their outputs on this thread; a signal handler may end it.

        The parameters are those of `run_rows`.
        """
        cdef Workspace workspace = self.take()
        cdef Py_ssize_t start = self.output_index_start
        cdef Py_ssize_t step, done = 0
        try:
            if n * self.work < WORK_WITH_GIL:
                self.run_rows(x, stride, n, state, y, start, self.output_size, workspace.tile,
                              NULL)
                return 0
            step = max(1, WORK_BETWEEN_SIGNALS // self.work // self.tile_samples)
            step *= self.tile_samples
            while done < n:
                if done:
                    PyErr_CheckSignals()
                step = min(step, n - done)
                with nogil:
                    self.run_rows(x + done * stride, stride, step,
                                  NULL if state == NULL else state + done * self.state_size,
                                  y + done * self.output_size, start, self.output_size,
                                  workspace.tile, NULL)
                done += step
        finally:
            self.give(workspace)
        return 0

    cdef cnp.ndarray _step_float32(self, cnp.ndarray x, cnp.ndarray state):
        """Run a step without a detour, or return None where plain Python has to look closer."""
        cdef int last = cnp.PyArray_NDIM(x) - 1
        cdef Py_ssize_t n = 1
        cdef Py_ssize_t stride = 0
        cdef cnp.npy_intp shape[2]
        cdef cnp.ndarray out
        if not (0 <= last <= 1 and cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT32
                and cnp.PyArray_ISBEHAVED_RO(x) and self.state_count
                and cnp.PyArray_DIM(x, last) == self.feature_size
                and cnp.PyArray_STRIDE(x, last) == sizeof(float)
                and cnp.PyArray_TYPE(state) == cnp.NPY_FLOAT32 and cnp.PyArray_ISCARRAY(state)
                and cnp.PyArray_NDIM(state) == last + 1
                and cnp.PyArray_DIM(state, last) == self.state_size
                and cnp.PyArray_DIM(state, 0) == cnp.PyArray_DIM(x, 0) * last
                + self.state_size * (1 - last)):
            return None
        shape[last] = self.output_size
        if last == 1:
            n = shape[0] = cnp.PyArray_DIM(x, 0)
            stride = cnp.PyArray_STRIDE(x, 0)
        if _overlap(x, n, stride, state):
            return None
        out = cnp.PyArray_EMPTY(last + 1, shape, cnp.NPY_FLOAT32, 0)
        self.run_array(<const float *> cnp.PyArray_DATA(x), stride // <Py_ssize_t> sizeof(float),
                       n, <float *> cnp.PyArray_DATA(state), <float *> cnp.PyArray_DATA(out))
        return out

    # ------------------------------------------------------------------------------- for everyone

    def predict(self, x, out=None):
        """Compute the output of one sample or of many.

        What a row gives depends on the model and the row alone: not on the other rows, the batch
        size, the thread count or the CPU.

        Parameters
        ----------
        x : array_like of shape (F,), (N, F) or (…, F)
            Real numbers of any type, converted to float32: what that cannot hold is infinite.
            Any strides; read-only is fine. Columns count by their position; a data frame, or a row
            of one, whose columns are not the model's features in their order is refused. Masked
            entries, and nulls of a data frame, are NaN.
        out : ndarray of float32, shape (O,), (N, O) or (…, O), optional
            Where to write the result: C-ordered and writable.

        Returns
        -------
        ndarray of float32, shape (O,), (N, O) or (…, O)
            `out`, if it was given.

        Raises
        ------
        InstModelError
            ``input_size_mismatch``, ``invalid_type``, ``column_mismatch``, ``inexact_key``,
            ``destination_size_mismatch``.
        """
        if type(x) is cnp.ndarray and (out is None or type(out) is cnp.ndarray):
            result = self._predict_float32(<cnp.ndarray> x, out)
            if result is not None:
                return result
        return self._predict_any(x, out)

    cdef cnp.ndarray _predict_float32(self, cnp.ndarray x, cnp.ndarray out):
        """Predict without a detour, or return None where `_predict_any` has to look closer."""
        cdef int last = cnp.PyArray_NDIM(x) - 1
        cdef Py_ssize_t n = 1
        cdef Py_ssize_t stride = 0
        cdef cnp.npy_intp shape[2]
        if not (0 <= last <= 1 and cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT32
                and cnp.PyArray_ISBEHAVED_RO(x) and self.op_count and not self.state_count
                and cnp.PyArray_DIM(x, last) == self.feature_size
                and cnp.PyArray_STRIDE(x, last) == sizeof(float)):
            return None
        shape[last] = self.output_size
        if last == 1:
            n = shape[0] = cnp.PyArray_DIM(x, 0)
            stride = cnp.PyArray_STRIDE(x, 0)
        if out is None:
            out = cnp.PyArray_EMPTY(last + 1, shape, cnp.NPY_FLOAT32, 0)
        elif not (cnp.PyArray_TYPE(out) == cnp.NPY_FLOAT32 and cnp.PyArray_ISCARRAY(out)
                  and cnp.PyArray_NDIM(out) == last + 1
                  and cnp.PyArray_DIM(out, last) == self.output_size
                  and cnp.PyArray_DIM(out, 0) == shape[0]
                  and not _overlap(x, n, stride, out)):
            return None
        self.run_array(<const float *> cnp.PyArray_DATA(x), stride // <Py_ssize_t> sizeof(float),
                       n, NULL, <float *> cnp.PyArray_DATA(out))
        return out

    def _predict_any(self, x, out):
        cdef cnp.ndarray chunk, result
        cdef Py_ssize_t done, n
        self.check_rows()
        array = arrays.real_array(x)
        rows = arrays.as_rows(array, self.feature_size)
        n = rows.shape[0]
        shape = array.shape[: array.ndim - 1] + (self.output_size,)
        rows, result = arrays.with_results(rows, out, shape)
        for done in range(0, n, ROWS_CONVERTED):
            chunk = arrays.as_float32(rows[done : done + ROWS_CONVERTED])
            self.run_array(<const float *> cnp.PyArray_DATA(chunk), self.feature_size,
                           cnp.PyArray_DIM(chunk, 0), NULL,
                           <float *> cnp.PyArray_DATA(result) + done * self.output_size)
        return result

    def step(self, x, state):
        """Run one step of one sequence, or of many side by side, of a recurrent model.

        Parameters
        ----------
        x : array_like of shape (F,) or (N, F)
            The rows, converted to float32.
        state : ndarray of float32, shape (S,) or (N, S), C-ordered, writable
            What the sequences hold before the step, `initial_state` to begin with; changed in place
            to what they hold after it.

        Returns
        -------
        ndarray of float32, shape (O,) or (N, O)

        Raises
        ------
        InstModelError
            ``input_size_mismatch``, ``invalid_type``, ``column_mismatch``, ``inexact_key``,
            ``state_size_mismatch``, which is also the error of a model without state.
        """
        if type(x) is cnp.ndarray and type(state) is cnp.ndarray:
            result = self._step_float32(<cnp.ndarray> x, <cnp.ndarray> state)
            if result is not None:
                return result
        return self._step_any(x, state)

    def predict_single(self, x):
        """Compute the last output value of one sample.

        Parameters
        ----------
        x : array_like of shape (F,)

        Returns
        -------
        float

        Raises
        ------
        InstModelError
            ``input_size_mismatch``, ``invalid_type``.
        """
        result = self.predict(x)
        if result.ndim != 1:
            raise InputError(
                "input_size_mismatch",
                "the input is not one sample",
                field="input",
                expected=f"shape ({self.feature_size},)",
                actual=f"shape {np.shape(x)}",
            )
        return float(result[self.output_size - 1])

    def predict_with_buffer(self, buffer):
        """Run the model in place, in a buffer that already holds the input.

        Parameters
        ----------
        buffer : ndarray of float32, shape (n,), n ≥ `required_memory`, writable
            Holds the input in its first `feature_size` values. Afterwards its first
            `required_memory` values hold every buffer of the model. (Where an instruction works in
            place on the input, that is changed, too.) Of a recurrent model, this runs one step: the
            state buffers are taken as they stand.

        Raises
        ------
        InstModelError
            ``buffer_too_small``, ``invalid_type``.
        """
        cdef cnp.ndarray array
        cdef uint64_t mode
        cdef float *values
        self._check_compiled()
        if not (type(buffer) is cnp.ndarray and cnp.PyArray_TYPE(<cnp.ndarray> buffer)
                == cnp.NPY_FLOAT32 and cnp.PyArray_ISCARRAY(<cnp.ndarray> buffer)
                and cnp.PyArray_NDIM(<cnp.ndarray> buffer) == 1):
            copy = arrays.in_place_copy(buffer)
            self.predict_with_buffer(copy)
            buffer[...] = copy
            return
        array = <cnp.ndarray> buffer
        if cnp.PyArray_DIM(array, 0) < self.required_memory:
            raise InputError(
                "buffer_too_small",
                "the model does not fit the buffer",
                field="buffer",
                expected=f"at least {self.required_memory} values",
                actual=cnp.PyArray_DIM(array, 0),
            )
        values = <float *> cnp.PyArray_DATA(array)
        if self.work < WORK_WITH_GIL:
            mode = im_fp_enter()
            self._run_in_place(values)
            im_fp_leave(mode)
        else:
            with nogil:
                mode = im_fp_enter()
                self._run_in_place(values)
                im_fp_leave(mode)

    cdef void _run_in_place(self, float *values) noexcept nogil:
        cdef Tile tile
        cdef int64_t i
        tile.values, tile.samples, tile.buffers, tile.T = values, 1, 1, 1
        self.kernels.flush(values, self.feature_size)
        for i in range(self.state_count):
            self.kernels.flush(values + self.states[2 * i],
                               self.states[2 * i + 1] - self.states[2 * i])
        zero_gaps(self, &tile)
        run_tile(self, &tile, 0, NOTHING, NOTHING, NULL)
        self.kernels.canonical(values, self.required_memory)

    cdef int _check_compiled(self) except -1:
        if not self.op_count:
            raise RuntimeError("the model was not initialised")
        return 0

    cdef int check_rows(self) except -1:
        """Refuse a model that computes something else of a row than of the same row elsewhere."""
        self._check_compiled()
        if self.state_count:
            raise InputError(
                "needs_sequences",
                "the model is recurrent: what a row gives depends on the rows before it in its "
                "sequence; `predict_sequences` takes sequences, `step` one row of each, "
                "`predict_events` a table",
            )
        return 0

    def _step_any(self, x, state):
        result = self._step_float32(x, state)
        if result is None:
            raise ValueError("the arrays do not fit the engine")  # `InstructionModel` checks them
        return result

    def require_state(self):
        """Refuse a model of independent rows, for a call that takes sequences.

        Raises
        ------
        InputError
            ``state_size_mismatch``.
        """
        self._check_compiled()
        if not self.state_count:
            raise InputError(
                "state_size_mismatch",
                "the model has no state: its rows are independent of each other, and `predict` "
                "takes them",
            )

    def require_rows(self):
        """Refuse a recurrent model, for a call that takes independent rows.

        Raises
        ------
        InputError
            ``needs_sequences``.
        """
        self.check_rows()


cdef int64_t by_fours(int64_t samples) noexcept:
    """Return for how many samples `dense_few` computes when it gets so many."""
    return samples if samples <= 2 else (samples + 3) // 4 * 4


cdef bint reads_rows_faster(int64_t features, int64_t outputs, int64_t lanes) noexcept:
    """Whether a dense layer should be computed straight from the rows.

    Then its outputs are transposed instead of the rows. The price is a load for every multiply-add
    and another one for `lanes` of them, more than the core can do in the shadow of the arithmetic.
    For each sample, a transposed square takes as long as `square` multiply-adds. Lanes without an
    output would cost more than squares do. With fewer than 8 lanes, the few sums of a square would
    wait for each other.
    """
    if outputs == 1:
        return True
    cdef int64_t square = 5 * lanes
    cdef int64_t saved = (features + lanes - 1) // lanes - outputs // lanes
    return lanes >= 8 and outputs % lanes == 0 and lanes * square * saved > features * outputs


# ------------------------------------------------------------------------------- parts of the loop


cdef void shape_tile(Engine engine, Tile *tile, int64_t n) noexcept nogil:
    """Choose how many of n samples make the next tile, and its shape."""
    cdef int64_t lanes = engine.kernels.lanes
    cdef int64_t rest
    if n <= engine.few_samples:
        tile.samples = tile.buffers = n
        tile.T = 1
        return
    tile.samples = min(n, engine.tile_samples)
    rest = tile.samples % lanes
    # What fills no vector; one more vector of a tile takes less time than the first.
    if rest < tile.samples and 2 * rest <= engine.few_samples:
        tile.samples -= rest
    tile.buffers = 1
    tile.T = (tile.samples + lanes - 1) // lanes * lanes


cdef void zero_gaps(Engine engine, const Tile *tile) noexcept nogil:
    cdef const int64_t *gap = engine.gaps
    cdef int64_t i, k
    for k in range(engine.gap_count):
        for i in range(tile.buffers):
            memset(tile.values + (i * engine.required_memory + gap[0]) * tile.T, 0,
                   (gap[1] - gap[0]) * tile.T * sizeof(float))
        gap += 2


cdef void load_rows(Engine engine, const Tile *tile, const float *x,
                    Py_ssize_t stride) noexcept nogil:
    """Read the input from rows, IN (samples, F), `stride` floats from row to row."""
    cdef int64_t samples = tile.samples if tile.T > 1 else 1  # of a buffer
    cdef int64_t i
    for i in range(tile.buffers):
        engine.kernels.load_tile(x + i * stride, stride, samples, engine.feature_size,
                                 tile.values + i * engine.required_memory, tile.T)


cdef void store_rows(Engine engine, const Tile *tile, float *y, Py_ssize_t start,
                     Py_ssize_t size) noexcept nogil:
    """Write values start … start + size of each sample into y, OUT (samples, size)."""
    cdef int64_t samples = tile.samples if tile.T > 1 else 1
    cdef int64_t i
    for i in range(tile.buffers):
        engine.kernels.store_tile(tile.values + i * engine.required_memory + start * tile.T,
                                  tile.T, samples, size, y + i * size, size)


cdef void load_states(Engine engine, const Tile *tile, const float *state) noexcept nogil:
    """Read the state buffers of each sample from state, IN (samples, S)."""
    cdef int64_t samples = tile.samples if tile.T > 1 else 1
    cdef int64_t i, k, start, size
    cdef const float *part = state
    for k in range(engine.state_count):
        start = engine.states[2 * k]
        size = engine.states[2 * k + 1] - start
        for i in range(tile.buffers):
            engine.kernels.load_tile(part + i * engine.state_size, engine.state_size, samples, size,
                                     tile.values + i * engine.required_memory + start * tile.T,
                                     tile.T)
        part += size


cdef void store_states(Engine engine, const Tile *tile, float *state) noexcept nogil:
    """Write the state buffers of each sample into state, OUT (samples, S)."""
    cdef int64_t samples = tile.samples if tile.T > 1 else 1
    cdef int64_t i, k, start, size
    cdef float *part = state
    for k in range(engine.state_count):
        start = engine.states[2 * k]
        size = engine.states[2 * k + 1] - start
        for i in range(tile.buffers):
            engine.kernels.store_tile(tile.values + i * engine.required_memory + start * tile.T,
                                      tile.T, samples, size, part + i * engine.state_size,
                                      engine.state_size)
        part += size


cdef void run_first(Engine engine, const Tile *tile, const float *x,
                    Py_ssize_t stride) noexcept nogil:
    """Run the first instruction, a narrow dense layer, on rows that are in no tile.

    x : IN (samples, F), `stride` floats from row to row
    """
    cdef const im_op *op = engine.ops
    cdef float *out = tile.values + op.output * tile.T
    engine.kernels.dense_rows(x, stride, tile.samples, op.input_size,
                              engine.weights + op.constants, out, op.output_size, tile.T,
                              op.activation == IM_RELU)
    activate_dense(engine.kernels, op, out, tile.T)


cdef void run_tile(Engine engine, const Tile *tile, int64_t first, im_soon rows,
                   im_soon results, Clock *clock) noexcept nogil:
    """Run the program from its instruction `first` on over one tile, its gaps zeroed.

    rows, results : what the next tile is read from, and what this one's results go to
    clock : NULL if nobody measures
    """
    cdef int64_t i
    cdef im_soon soon
    for i in range(first, engine.op_count):
        soon = NOTHING
        if i == engine.first_dense:
            soon = rows
        elif i == engine.last_dense:
            soon = results
        run_op(engine, &engine.ops[i], tile, soon)
        end_of_part(clock, FIRST_INSTRUCTION + i)


cdef void end_of_part(Clock *clock, int64_t part) noexcept nogil:
    """Tell the clock, if there is one, what the time since the last call went into."""
    if clock != NULL:
        clock.lap(clock, part)


# ------------------------------------------------------------------------------------ instructions


cdef void run_op(Engine engine, const im_op *op, const Tile *tile, im_soon soon) noexcept nogil:
    """Run one instruction over one tile; a dense layer asks the memory for `soon`."""
    cdef int64_t i
    if op.opcode == IM_DOT or op.opcode == IM_ATTENTION:
        multiply(engine, op, tile, soon)
    for i in range(tile.buffers):
        run_values(engine, op, tile.values + i * engine.required_memory, tile.T)


cdef void multiply(Engine engine, const im_op *op, const Tile *tile,
                   im_soon soon) noexcept nogil:
    """Run the matrix product of an instruction, with ReLU if that comes next."""
    cdef const float *x = tile.values + op.input * tile.T
    cdef const float *panels = engine.weights + op.constants
    cdef float *out = tile.values + op.output * tile.T
    cdef bint relu = op.activation == IM_RELU
    if tile.T > 1:
        engine.kernels.dense(x, panels, out, op.input_size, op.output_size, tile.T, relu, soon)
    else:
        engine.kernels.dense_few(x, engine.required_memory, tile.buffers, panels, out,
                                 op.input_size, op.output_size, relu)


cdef void activate_dense(const im_kernels *k, const im_op *op, float *out,
                         int64_t T) noexcept nogil:
    """Apply the activation of a dense layer, but for ReLU, which its kernel has applied."""
    if op.activation == IM_SOFTMAX:
        k.softmax(out, NULL, op.output_size, T)
    elif op.activation > IM_RELU:
        k.activate(out, op.output_size * T, <int> op.activation)


cdef void run_values(Engine engine, const im_op *op, float *tile, int64_t T) noexcept nogil:
    """Run what an instruction does besides a matrix product.

    tile : INOUT (required_memory, T)
    """
    cdef const im_kernels *k = engine.kernels
    cdef const float *x = tile + op.input * T
    cdef float *out = tile + op.output * T
    cdef int64_t rows = op.output_size
    if op.opcode == IM_DOT:
        activate_dense(k, op, out, T)
    elif op.opcode == IM_ATTENTION:
        k.softmax(out, tile + op.more * T, rows, T)
    elif op.opcode == IM_COPY:
        memmove(out, x, rows * T * sizeof(float))
    elif op.opcode == IM_COPY_MASKED:
        k.copy_masked(x, engine.operands + op.operands, rows, out, T)
    elif op.opcode == IM_MAP_TRANSFORM:
        k.map_transform(&engine.maps[op.more], engine.constants + op.constants, x, out, rows, T)
    elif op.opcode == IM_ACTIVATION:
        if op.activation == IM_SOFTMAX:
            k.softmax(out, NULL, rows, T)
        else:
            k.activate(out, rows * T, <int> op.activation)
    elif op.opcode == IM_ADD_ELEMENTWISE:
        k.add_parameters(out, engine.constants + op.constants, rows, T)
    elif op.opcode == IM_MUL_ELEMENTWISE:
        k.mul_parameters(out, engine.constants + op.constants, rows, T)
    elif op.opcode == IM_CLIP_ELEMENTWISE:
        k.clip(out, engine.constants + op.constants, engine.constants + op.more, rows, T)
    elif op.opcode == IM_ADD_ELEMENTWISE_BUFFERS:
        k.add_buffers(tile, engine.operands + op.operands, op.operand_count, out, rows, T)
    elif op.opcode == IM_MULTIPLY_ELEMENTWISE_BUFFERS:
        k.mul_buffers(tile, engine.operands + op.operands, op.operand_count, out, rows, T)
    elif op.opcode == IM_ADD_BUFFER_HEADS:
        k.add_heads(x, tile + op.more * T, out, rows, op.operand_count, T)
    elif op.opcode == IM_MULTIPLY_BUFFER_HEADS:
        k.mul_heads(x, tile + op.more * T, out, rows, op.operand_count, T)
    elif op.opcode == IM_REDUCE_SUM:
        k.reduce_sum(x, out, op.input_size, T)


cdef bint _overlap(cnp.ndarray x, Py_ssize_t n, Py_ssize_t stride, cnp.ndarray out) noexcept:
    """Whether the bytes of x, n rows `stride` bytes apart, and those of out may be the same."""
    cdef char *first = <char *> cnp.PyArray_DATA(x)
    cdef char *last = first + max(n - 1, 0) * stride
    cdef char *low = first if first < last else last
    cdef char *high = last if first < last else first
    cdef char *target = <char *> cnp.PyArray_DATA(out)
    high += cnp.PyArray_DIM(x, cnp.PyArray_NDIM(x) - 1) * sizeof(float)
    return low < target + cnp.PyArray_NBYTES(out) and target < high
