/* kernel_digests.c: run every kernel of every instruction set that this build and this CPU have, on
 * the same pseudo-random numbers, and print one digest for each kernel and tile width.
 *
 * tests/machine/test_cross.py compiles it for this machine and for 64-bit Arm, and compares the
 * lines.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fpmode.h"
#include "kernels.h"

/* COLS is more than a block of a dense layer, WIDE is a multiple of every vector width. */
enum { SIZE = 37, COLS = 601, WIDE = 48 };

static uint32_t state;

static uint32_t next(void)
{
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state;
}

/* Mostly numbers between -8 and 8; every 32nd is whatever a float32 can hold: NaN and infinity,
 * too. */
static float number(void)
{
    uint32_t bits = next();
    if (next() % 32 == 0) {
        float any;
        memcpy(&any, &bits, sizeof any);
        return any;
    }
    return ((float)(bits >> 8) - 8388608.0f) / 1048576.0f;
}

static float *numbers(size_t n)
{
    float *x = malloc(n * sizeof *x);
    for (size_t i = 0; i < n; i++) {
        x[i] = number();
    }
    return x;
}

static void show(const char *kernel, int64_t T, float *x, int64_t n, const im_kernels *k)
{
    uint32_t hash = 2166136261u;
    k->canonical(x, n);
    for (int64_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, x + i, sizeof bits);
        hash = (hash ^ bits) * 16777619u;
    }
    printf("%s T=%d %08x\n", kernel, (int)T, hash);
}

/* A few samples side by side, each with its input and its output in a buffer of its own. */
static void run_few(const im_kernels *k, const float *panels)
{
    enum { MOST = 7, APART = COLS + SIZE };
    float *buffers = numbers(MOST * APART);
    k->flush(buffers, MOST * APART);
    for (int64_t n = 1; n <= MOST; n++) {
        k->dense_few(buffers, APART, n, panels, buffers + COLS, COLS, SIZE, n % 2);
        show("dense_few", n, buffers, MOST * APART, k);
    }
    free(buffers);
}

/* Everything for one tile width; the numbers are the same for every instruction set. */
static void run(const im_kernels *k, int64_t T)
{
    state = 2463534242u;
    const int64_t n = SIZE * T;
    float *rows = numbers(T * COLS);
    float *panels = numbers(SIZE * (1 + COLS));
    float *parameters = numbers(2 * SIZE);
    float *tile = numbers(COLS * T);
    float *out = numbers(n);
    float *other = numbers(n);

    k->load_tile(rows, COLS, T, COLS, tile, T);
    show("load_tile", T, tile, COLS * T, k);
    k->load_tile(rows, COLS, T, COLS, tile, T);
    if (T == 1) {
        run_few(k, panels);
    } else {
        k->dense(tile, panels, out, COLS, SIZE, T, 0, (im_soon){NULL, 0});
        show("dense", T, out, n, k);
        k->dense(tile, panels, out, COLS, SIZE, T, 1, (im_soon){rows, T * COLS});
        show("dense relu", T, out, n, k);
        memset(out, 0, (size_t)T * sizeof *out);
        k->dense_rows(rows, COLS, T - 5, COLS, panels, out, 1, T, 0);
        show("row_dot", T, out, T - 5, k);
        k->dense_rows(rows, COLS, T, 8, panels, out, 1, T, 1);
        show("row_dot relu", T, out, T, k);
        k->dense_rows(rows, COLS, T, COLS, panels, out, 32, T, 0);
        show("dense_rows", T, out, 32 * T, k);
        k->dense_rows(rows, COLS, T - 5, 8, panels, out, 16, T, 1);
        for (int f = 0; f < 16; f++) { /* lanes without a sample may hold anything */
            memset(out + f * T + T - 5, 0, 5 * sizeof *out);
        }
        show("dense_rows relu", T, out, 16 * T, k);
        for (int i = 0; i < 2 * T; i++) {
            rows[i] = 1e-40f;
        }
        const float panel[3] = {1.0f, 1e38f, 1e38f};
        k->dense_rows(rows, 2, T, 2, panel, out, 1, T, 0);
        show("row_dot of denormals", T, out, T, k);
        float wide[3 * 16];
        for (int i = 0; i < 3 * 16; i++) {
            wide[i] = panel[i / 16];
        }
        k->dense_rows(rows, 2, T, 2, wide, out, 16, T, 0);
        show("dense_rows of denormals", T, out, 16 * T, k);
    }
    for (int activation = IM_RELU; activation <= IM_RECIPROCAL; activation++) {
        char name[32];
        snprintf(name, sizeof name, "activation %d", activation);
        memcpy(out, tile, (size_t)n * sizeof *out);
        if (activation == IM_SOFTMAX) {
            k->softmax(out, NULL, SIZE, T);
        } else {
            k->activate(out, (size_t)n, activation);
        }
        show(name, T, out, n, k);
    }
    for (int s = 0; s < T; s++) { /* the third share is just below 2^-126, and rounds up to it */
        out[s] = 0.0f;
        out[T + s] = -0x1.eb851ep-8f;
        out[2 * T + s] = -0x1.5a96acp+6f;
    }
    k->softmax(out, NULL, 3, T);
    show("softmax that rounds up", T, out, 3 * T, k);
    k->flush(parameters, 2 * SIZE);
    memcpy(out, tile, (size_t)n * sizeof *out);
    k->add_parameters(out, parameters, SIZE, T);
    show("add_parameters", T, out, n, k);
    k->mul_parameters(out, parameters, SIZE, T);
    show("mul_parameters", T, out, n, k);
    memcpy(out, tile, (size_t)n * sizeof *out);
    k->clip(out, parameters, parameters + SIZE, SIZE, T);
    show("clip", T, out, n, k);
    const int64_t offsets[3] = {0, SIZE, 2 * SIZE};
    k->add_buffers(tile, offsets, 3, out, SIZE, T);
    show("add_buffers", T, out, n, k);
    k->mul_buffers(tile, offsets, 3, out, SIZE, T);
    show("mul_buffers", T, out, n, k);
    k->add_heads(tile, tile + n, out, SIZE, 1, T);
    show("add_heads", T, out, n, k);
    k->mul_heads(tile, tile + n, out, SIZE - 1, 9, T);
    show("mul_heads", T, out, (SIZE - 1) * T, k);
    const int64_t indexes[4] = {36, 0, 0, 7};
    k->copy_masked(tile, indexes, 4, out, T);
    show("copy_masked", T, out, 4 * T, k);
    k->reduce_sum(tile, out, SIZE, T);
    show("reduce_sum", T, out, T, k);
    int32_t index[17];
    for (int i = 0; i < 17; i++) {
        index[i] = i % 3 ? i : -1;
    }
    const im_map map = {.first_key = -8, .span = 17, .index = index, .values = panels};
    k->flush(panels, 17 * 2);
    k->map_transform(&map, parameters, tile, out, 2, T);
    show("map_transform", T, out, 2 * T, k);
    const im_map contiguous = {.first_key = -3, .span = 5, .values = panels};
    k->map_transform(&contiguous, parameters, tile, out, 2, T);
    show("map_transform of contiguous keys", T, out, 2 * T, k);
    const im_map empty = {.values = NULL};
    k->map_transform(&empty, parameters, tile, out, 2, T);
    show("map_transform of no keys", T, out, 2 * T, k);
    k->store_tile(tile, T, T, SIZE, other, SIZE);
    show("store_tile", T, other, n, k);
    if (T > 1) {
        const float *sources[WIDE];
        float *targets[WIDE];
        for (int64_t i = 0; i < T; i++) { /* backwards: rows may lie anywhere */
            sources[i] = rows + (T - 1 - i) * COLS;
            targets[i] = other + (T - 1 - i) * SIZE;
        }
        k->load_lanes(sources, COLS, COLS, tile, T);
        show("load_lanes", T, tile, COLS * T, k);
        k->store_lanes(tile, T, T, SIZE, targets);
        show("store_lanes", T, other, n, k);
    }

    free(rows);
    free(panels);
    free(parameters);
    free(tile);
    free(out);
    free(other);
}

int main(void)
{
    const im_kernels *const *tables = im_available_kernels();
    for (; *tables; tables++) {
        const uint64_t mode = im_fp_enter();
        printf("# %s\n", (*tables)->name);
        run(*tables, 1);
        run(*tables, WIDE);
        im_fp_leave(mode);
        if (im_fp_read() != mode) {
            printf("the floating-point mode did not come back\n");
        }
    }
    return 0;
}
