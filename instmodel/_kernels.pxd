"""The C kernels, as Cython sees them."""

from libc.stdint cimport int32_t, int64_t, uint64_t


cdef extern from "kernels.h" nogil:
    enum:
        IM_DOT
        IM_ATTENTION
        IM_COPY
        IM_COPY_MASKED
        IM_MAP_TRANSFORM
        IM_ACTIVATION
        IM_ADD_ELEMENTWISE
        IM_MUL_ELEMENTWISE
        IM_CLIP_ELEMENTWISE
        IM_ADD_ELEMENTWISE_BUFFERS
        IM_MULTIPLY_ELEMENTWISE_BUFFERS
        IM_ADD_BUFFER_HEADS
        IM_MULTIPLY_BUFFER_HEADS
        IM_REDUCE_SUM
        IM_RELU
        IM_SOFTMAX
        IM_RECIPROCAL
        IM_PANEL

    ctypedef struct im_op:
        int64_t opcode, activation, input, output, input_size, output_size
        int64_t constants, more, operands, operand_count

    ctypedef struct im_map:
        int64_t first_key, span
        const int32_t *index
        const int32_t *slots
        int64_t bits
        uint64_t multiplier
        const float *values

    ctypedef struct im_soon:
        const void *at
        int64_t bytes

    ctypedef struct im_kernels:
        const char *name
        int64_t lanes, block
        void (*load_tile)(const float *x, Py_ssize_t stride, int64_t n, int64_t features,
                          float *tile, int64_t T) noexcept nogil
        void (*store_tile)(const float *tile, int64_t T, int64_t n, int64_t size, float *y,
                           Py_ssize_t stride) noexcept nogil
        void (*load_lanes)(const float *const *rows, Py_ssize_t ahead, int64_t features,
                           float *tile, int64_t T) noexcept nogil
        void (*store_lanes)(const float *tile, int64_t T, int64_t n, int64_t size,
                            float *const *rows) noexcept nogil
        void (*dense)(const float *x, const float *panels, float *out, int64_t cols, int64_t rows,
                      int64_t T, bint relu, im_soon soon) noexcept nogil
        void (*dense_few)(const float *x, Py_ssize_t apart, int64_t n, const float *panels,
                          float *out, int64_t cols, int64_t rows, bint relu) noexcept nogil
        void (*dense_rows)(const float *x, Py_ssize_t stride, int64_t n, int64_t features,
                           const float *panels, float *out, int64_t rows, int64_t T,
                           bint relu) noexcept nogil
        void (*activate)(float *x, size_t n, int activation) noexcept nogil
        void (*softmax)(float *x, const float *gate, int64_t size, int64_t T) noexcept nogil
        void (*add_parameters)(float *x, const float *p, int64_t size, int64_t T) noexcept nogil
        void (*mul_parameters)(float *x, const float *p, int64_t size, int64_t T) noexcept nogil
        void (*clip)(float *x, const float *low, const float *high, int64_t size,
                     int64_t T) noexcept nogil
        void (*add_buffers)(const float *base, const int64_t *offsets, int64_t count, float *out,
                            int64_t size, int64_t T) noexcept nogil
        void (*mul_buffers)(const float *base, const int64_t *offsets, int64_t count, float *out,
                            int64_t size, int64_t T) noexcept nogil
        void (*add_heads)(const float *data, const float *heads, float *out, int64_t size,
                          int64_t count, int64_t T) noexcept nogil
        void (*mul_heads)(const float *data, const float *heads, float *out, int64_t size,
                          int64_t count, int64_t T) noexcept nogil
        void (*copy_masked)(const float *x, const int64_t *indexes, int64_t count, float *out,
                            int64_t T) noexcept nogil
        void (*reduce_sum)(const float *x, float *out, int64_t size, int64_t T) noexcept nogil
        void (*map_transform)(const im_map *map, const float *missing, const float *keys,
                              float *out, int64_t size, int64_t T) noexcept nogil
        void (*flush)(float *x, int64_t n) noexcept nogil
        void (*canonical)(float *x, int64_t n) noexcept nogil
        bint (*all_finite)(const float *x, int64_t n) noexcept nogil
        void (*count_at_least)(const float *x, const float *marks, int64_t *counts, int64_t n,
                               int64_t size, int64_t count) noexcept nogil
        double (*peak)(int64_t steps, int64_t *flops) noexcept nogil

    const im_kernels *const *im_available_kernels()

cdef extern from "sha256.h" nogil:
    ctypedef struct im_sha256:
        int streams

    const im_sha256 *im_available_sha256(const im_kernels *chosen)
    void im_sha256_chunks(const im_sha256 *functions, const unsigned char *data, size_t size,
                          size_t chunk, unsigned char *digests)

cdef extern from "lookup.h" nogil:
    void im_hash_build(const int32_t *keys, int64_t n, int32_t *slots, uint64_t multiplier,
                       int64_t bits)

cdef extern from "fpmode.h" nogil:
    uint64_t im_fp_read()
    uint64_t im_fp_enter()
    void im_fp_leave(uint64_t before)


cdef const im_kernels *CHOSEN  # the instruction set of this process
