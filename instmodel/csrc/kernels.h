/* kernels.h: what crosses the line between the interpreter and the kernels.
 *
 * Design
 * ------
 * A. A lane is a sample. A *tile* holds T samples feature-major: value f of the unified buffer, for
 *    samples 0 … T-1, lies at tile[f*T … f*T + T-1]. T is 1 or a multiple of the vector width, so
 *    every instruction is "for each value, one vector operation across samples", and a lane runs
 *    exactly the scalar program: same bits for any batch, thread count and vector width.
 * B. T = 1 is the layout of the unified buffer itself, which predict_with_buffer runs in place.
 *    Fewer samples than fill a vector run side by side, each in such a buffer.
 * C. The kernels are written once over the primitives of simd_<isa>.h and compiled once for each
 *    instruction set; everything but one table of function pointers is static.
 * D. Kernels cannot fail: instmodel/document/validate.py ran, and every index and size is inside
 *    its buffer. They expect the floating-point mode of fpmode.h, and no denormals in the tile
 *    (load_tile flushes them; arithmetic does not make new ones).
 * E. What other files see begins with im_ or IM_, and so do all macros. Functions of vectors begin
 *    with their type, vf_ or vd_, activations with v_. All else is static and has no prefix.
 */
#ifndef INSTMODEL_KERNELS_H
#define INSTMODEL_KERNELS_H

#include <stddef.h>
#include <stdint.h>

/* The opcodes of instmodel/document/instructions.py. */
enum {
    IM_DOT = 1,
    IM_ATTENTION = 2,
    IM_COPY = 3,
    IM_COPY_MASKED = 4,
    IM_MAP_TRANSFORM = 5,
    IM_ACTIVATION = 6,
    IM_ADD_ELEMENTWISE = 7,
    IM_MUL_ELEMENTWISE = 8,
    IM_CLIP_ELEMENTWISE = 9,
    IM_ADD_ELEMENTWISE_BUFFERS = 10,
    IM_MULTIPLY_ELEMENTWISE_BUFFERS = 11,
    IM_ADD_BUFFER_HEADS = 12,
    IM_MULTIPLY_BUFFER_HEADS = 13,
    IM_REDUCE_SUM = 14
};

/* The activations of instmodel/base/activations.py; 0 is none. */
enum {
    IM_RELU = 1,
    IM_SIGMOID = 2,
    IM_SOFTMAX = 3,
    IM_TANH = 4,
    IM_SQRT = 5,
    IM_LOG = 6,
    IM_LOG10 = 7,
    IM_INVERSE = 8,
    IM_GELU = 9,
    IM_SOFTPLUS = 10,
    IM_EXP = 11,
    IM_SIGN = 12,
    IM_RECIPROCAL = 13
};

/* Dense weights lie in panels of 16 outputs; the last panel is as wide as it needs to be. A panel
 * of width p is [1 + inputs][p]: first the bias, then one row for each input. */
enum { IM_PANEL = 16 };

/* One instruction: the words of Op in instmodel/document/instruction_base.py. */
typedef struct {
    int64_t opcode;
    int64_t activation;
    int64_t input; /* offsets in the unified buffer */
    int64_t output;
    int64_t input_size;
    int64_t output_size;
    int64_t constants; /* offset in the packed weights (dense, attention) or in the constants */
    int64_t more;      /* attention: gated input; heads: heads; clip: maxima; map: its index */
    int64_t operands;  /* offset in the operand list */
    int64_t operand_count;
} im_op;

/* An embedding table: int32 keys to rows of values. The row of a contiguous key is the key less the
 * first one. Other keys have a table over their range, or a hash with linear probing, at most half
 * full, each slot a (key, row) pair; row -1 is empty. */
typedef struct {
    int64_t first_key;    /* of row 0, or of index[0] */
    int64_t span;         /* keys from the first to the last; 0 when hashed or empty */
    const int32_t *index; /* (span,) row or -1; NULL when contiguous or hashed */
    const int32_t *slots; /* hashed: (1 << bits, 2), else NULL */
    int64_t bits;
    uint64_t multiplier; /* of the hash; random for each table */
    const float *values; /* (rows, size of a value) */
} im_map;

/* Memory that is wanted soon; nobody waits for it. */
typedef struct {
    const void *at; /* NULL: nothing */
    int64_t bytes;
} im_soon;

typedef struct {
    const char *name;
    int64_t lanes; /* samples in a vector: T is 1 or a multiple of it */
    int64_t block; /* samples in a register block of the dense kernel: the T that suits it */

    /* Rows to tile: x (n, features), `stride` floats from row to row -> tile (features, T), T ≥ n.
     * Denormals become zero; lanes n … T-1 are zero. */
    void (*load_tile)(const float *x /* IN */, ptrdiff_t stride, int64_t n, int64_t features,
                      float *tile /* OUT */, int64_t T);
    /* Tile to rows: tile (size, T) -> y (n, size), `stride` floats from row to row. Every NaN
     * becomes 0x7FC00000. */
    void (*store_tile)(const float *tile /* IN */, int64_t T, int64_t n, int64_t size,
                       float *y /* OUT */, ptrdiff_t stride);
    /* The same for rows that lie anywhere, one for each lane: T pointers, T > 1. What lies `ahead`
     * floats behind what is read is asked for. */
    void (*load_lanes)(const float *const *rows /* IN (T,) */, ptrdiff_t ahead, int64_t features,
                       float *tile /* OUT */, int64_t T);
    void (*store_lanes)(const float *tile /* IN */, int64_t T, int64_t n, int64_t size,
                        float *const *rows /* OUT (n,) */);

    /* out (rows, T) = W x + bias, T > 1; panels as above; relu: clip at 0 at once. Meanwhile `soon`
     * moves into L2, or the next weights where there is nothing else. */
    void (*dense)(const float *x /* IN (cols, T) */, const float *panels /* IN */,
                  float *out /* OUT */, int64_t cols, int64_t rows, int64_t T, int relu,
                  im_soon soon);
    /* The same for n samples that are in no tile, but `apart` floats from one to the next. Takes
     * less time than a tile of which they fill too few lanes, and reads the weights only once. */
    void (*dense_few)(const float *x /* IN (n, cols) */, ptrdiff_t apart, int64_t n,
                      const float *panels /* IN */, float *out /* OUT (n, rows) */, int64_t cols,
                      int64_t rows, int relu);
    /* load_tile and dense at once, for one output or a multiple of `lanes`: out (rows, T) from the
     * caller's matrix, T > 1. Lanes n … T-1 may hold anything. */
    void (*dense_rows)(const float *x /* IN */, ptrdiff_t stride, int64_t n, int64_t features,
                       const float *panels /* IN */, float *out /* OUT */, int64_t rows, int64_t T,
                       int relu);

    /* x (n,) = f(x), lane by lane. */
    void (*activate)(float *x /* INOUT */, size_t n, int activation);
    /* x (size, T): over the values of each sample. */
    void (*softmax)(float *x /* INOUT */, const float *gate /* IN (size, T), or NULL for ones */,
                    int64_t size, int64_t T);

    void (*add_parameters)(float *x /* INOUT (size, T) */, const float *p /* IN (size,) */,
                           int64_t size, int64_t T);
    void (*mul_parameters)(float *x, const float *p, int64_t size, int64_t T);
    void (*clip)(float *x /* INOUT (size, T) */, const float *low /* IN (size,) */,
                 const float *high /* IN (size,) */, int64_t size, int64_t T);

    /* out = ((a op b) op c) …, the inputs at base + T * offsets[i]; out may be one of them. */
    void (*add_buffers)(const float *base /* IN */, const int64_t *offsets, int64_t count,
                        float *out /* OUT */, int64_t size, int64_t T);
    void (*mul_buffers)(const float *base, const int64_t *offsets, int64_t count, float *out,
                        int64_t size, int64_t T);
    /* out[h*d + j] = data[h*d + j] op heads[h]; out may be data. */
    void (*add_heads)(const float *data /* IN (size, T) */, const float *heads /* IN (count, T) */,
                      float *out /* OUT */, int64_t size, int64_t count, int64_t T);
    void (*mul_heads)(const float *data, const float *heads, float *out, int64_t size,
                      int64_t count, int64_t T);

    void (*copy_masked)(const float *x /* IN */, const int64_t *indexes, int64_t count,
                        float *out /* OUT (count, T) */, int64_t T);
    void (*reduce_sum)(const float *x /* IN (size, T) */, float *out /* OUT (1, T) */, int64_t size,
                       int64_t T);
    void (*map_transform)(const im_map *map, const float *missing /* IN (size,) */,
                          const float *keys /* IN (1, T) */, float *out /* OUT (size, T) */,
                          int64_t size, int64_t T);

    /* x (n,): denormals to zero; every NaN to 0x7FC00000. For buffers that are run in place. */
    void (*flush)(float *x /* INOUT */, int64_t n);
    void (*canonical)(float *x /* INOUT */, int64_t n);
    /* Whether x (n,) holds neither NaN nor infinities: 1 or 0. */
    int (*all_finite)(const float *x /* IN */, int64_t n);
    /* counts[k][j] += rows i with x[i][j] >= marks[k][j]. NaN reaches nothing; a mark that is NaN
     * has none behind it. */
    void (*count_at_least)(const float *x /* IN (n, size) */,
                           const float *marks /* IN (count, size) */,
                           int64_t *counts /* INOUT (count, size) */, int64_t n, int64_t size,
                           int64_t count);

    /* `steps` steps of nothing but FMAs; returns about 12. */
    double (*peak)(int64_t steps, int64_t *flops /* OUT: operations, an FMA being two */);
} im_kernels;

/* dispatch.c: the tables that were compiled and that this CPU can run, best first, then NULL. */
const im_kernels *const *im_available_kernels(void);

#endif
