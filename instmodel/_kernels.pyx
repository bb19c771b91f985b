"""The C kernels: which instruction set runs, and what plain Python needs of them.

Nothing here knows of models: `instmodel._engine` interprets programs.
"""

from libc.stdint cimport int64_t, uint64_t

import os

from instmodel.errors import InstModelError

OPCODES = {
    "DOT": IM_DOT,
    "ATTENTION": IM_ATTENTION,
    "COPY": IM_COPY,
    "COPY_MASKED": IM_COPY_MASKED,
    "MAP_TRANSFORM": IM_MAP_TRANSFORM,
    "ACTIVATION": IM_ACTIVATION,
    "ADD_ELEMENTWISE": IM_ADD_ELEMENTWISE,
    "MUL_ELEMENTWISE": IM_MUL_ELEMENTWISE,
    "CLIP_ELEMENTWISE": IM_CLIP_ELEMENTWISE,
    "ADD_ELEMENTWISE_BUFFERS": IM_ADD_ELEMENTWISE_BUFFERS,
    "MULTIPLY_ELEMENTWISE_BUFFERS": IM_MULTIPLY_ELEMENTWISE_BUFFERS,
    "ADD_BUFFER_HEADS": IM_ADD_BUFFER_HEADS,
    "MULTIPLY_BUFFER_HEADS": IM_MULTIPLY_BUFFER_HEADS,
    "REDUCE_SUM": IM_REDUCE_SUM,
}
"""The interpreter's opcodes; `instmodel.document.instructions` has the same."""

PANEL = IM_PANEL
"""Outputs in a panel of packed dense weights."""


# ------------------------------------------------------------------------------- instruction sets


cdef const im_kernels *CHOSEN = im_available_kernels()[0]
cdef str WANTED = os.environ.get("INSTMODEL_ISA", "").strip().lower()


cdef bint _choose_kernels():
    """Take what INSTMODEL_ISA forces; return whether this CPU and this build have it."""
    global CHOSEN
    cdef const im_kernels *const *tables = im_available_kernels()
    while tables[0] != NULL:
        if not WANTED or WANTED == tables[0].name.decode():
            CHOSEN = tables[0]
            return True
        tables += 1
    return False


# A wrong variable must not break the import, which a program does not expect to fail.
cdef bint HAVE_WANTED = _choose_kernels()


def available_isas() -> list:
    """Return the instruction sets that this build and this CPU have, best first."""
    cdef const im_kernels *const *tables = im_available_kernels()
    cdef Py_ssize_t i = 0
    names = []
    while tables[i] != NULL:
        names.append(tables[i].name.decode())
        i += 1
    return names


def isa() -> str:
    """Return the instruction set that was chosen when the module was imported.

    Raises
    ------
    InstModelError
        ``unsupported_isa``: INSTMODEL_ISA asks for another one.
    """
    if not HAVE_WANTED:
        raise InstModelError(
            "unsupported_isa",
            "this CPU or this build does not have the instruction set",
            field="INSTMODEL_ISA",
            expected="one of " + ", ".join(available_isas()),
            actual=repr(WANTED),
        )
    return CHOSEN.name.decode()


def activate(int activation, float[::1] x not None) -> None:
    """Apply a lane-wise activation to a float32 vector in place, as an instruction would.

    Parameters
    ----------
    activation : int
        `Activation.gpu_id`; any but SOFTMAX.
    x : float32 (n,), changed in place
    """
    if not IM_RELU <= activation <= IM_RECIPROCAL or activation == IM_SOFTMAX:
        raise ValueError(f"not a lane-wise activation: {activation}")
    if x.shape[0] == 0:
        return
    cdef float *values = &x[0]
    cdef uint64_t mode
    with nogil:
        mode = im_fp_enter()
        CHOSEN.flush(values, x.shape[0])
        CHOSEN.activate(values, x.shape[0], activation)
        im_fp_leave(mode)


def flush(float[::1] x not None) -> None:
    """Turn denormals of a float32 vector into zeros of their sign, in place."""
    if x.shape[0]:
        with nogil:
            CHOSEN.flush(&x[0], x.shape[0])


def all_finite(const float[::1] x not None) -> bool:
    """Return whether a float32 vector holds neither NaN nor infinities."""
    cdef bint finite = True
    if x.shape[0]:
        with nogil:
            finite = CHOSEN.all_finite(&x[0], x.shape[0])
    return finite


def count_at_least(const float[:, ::1] x not None, const float[:, ::1] marks not None,
                   int64_t[:, ::1] counts not None) -> None:
    """Count the values of each column that reach its marks; NaN reaches none.

    Parameters
    ----------
    x : float32 (n, size)
    marks : float32 (count, size)
        Where a column has fewer, NaN behind its last one.
    counts : int64 (count, size)
        INOUT: what is counted is added.
    """
    cdef int64_t n = x.shape[0]
    cdef int64_t size = x.shape[1]
    cdef int64_t count = marks.shape[0]
    if marks.shape[1] != size or counts.shape[0] != count or counts.shape[1] != size:
        raise ValueError("shapes do not fit")
    if n and size and count:
        with nogil:
            CHOSEN.count_at_least(&x[0, 0], &marks[0, 0], &counts[0, 0], n, size, count)


def pack_panels(const float[:, ::1] weights not None, const float[::1] bias not None,
                float[::1] packed not None) -> None:
    """Pack a dense layer; see `instmodel.compiled.panels` for the layout.

    Parameters
    ----------
    weights : float32 (rows, cols)
    bias : float32 (rows,)
    packed : float32 (rows · (1 + cols),)
        OUT.
    """
    cdef int64_t rows = weights.shape[0]
    cdef int64_t cols = weights.shape[1]
    cdef int64_t row, i, k, width
    cdef float *panel
    if bias.shape[0] != rows or packed.shape[0] != rows * (1 + cols):
        raise ValueError("the shapes of weights, bias and packed do not fit")
    with nogil:
        row = 0
        while row < rows:
            width = min(<int64_t> IM_PANEL, rows - row)
            panel = &packed[row * (1 + cols)]
            for i in range(width):
                panel[i] = bias[row + i]
            for k in range(cols):
                for i in range(width):
                    panel[(1 + k) * width + i] = weights[row + i, k]
            row += width


cdef const im_sha256 *SHA256 = im_available_sha256(CHOSEN)

SHA256_STREAMS = 1 if SHA256 == NULL else SHA256.streams
"""Chunks that a core hashes side by side; with 1, there is no `sha256_chunks`, only hashlib."""


def sha256_chunks(const unsigned char[::1] data not None, Py_ssize_t chunk) -> bytes:
    """Return the SHA-256 digests of the chunks of `data`, one after the other.

    Parameters
    ----------
    data : uint8 (n,)
    chunk : int
        Bytes of each chunk but the last, which may have less.
    """
    if SHA256 == NULL or chunk < 1:
        raise ValueError("no instructions for SHA-256, or chunks of nothing")
    cdef Py_ssize_t size = data.shape[0]
    digests = bytearray((size // chunk + (size % chunk > 0)) * 32)
    cdef unsigned char[::1] target = digests
    if size:
        with nogil:
            im_sha256_chunks(SHA256, &data[0], size, chunk, &target[0])
    return bytes(digests)


def floating_point_mode() -> int:
    """Return this thread's floating-point control register (MXCSR or FPCR), 0 if unknown."""
    return im_fp_read()
