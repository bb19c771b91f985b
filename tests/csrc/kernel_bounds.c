/* kernel_bounds.c: run every kernel on arrays that end, or begin, at memory that cannot be read or
 * written: whoever leaves an array, by a single float, dies. (Asking for memory ahead is allowed.)
 *
 * tests/machine/test_cross.py compiles it for this machine and for 64-bit Arm. With an argument it
 * leaves an array itself, to show that this is seen.
 */
#define _DEFAULT_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "fpmode.h"
#include "kernels.h"

enum { PAGE = 65536, ARRAYS = 32 }; /* a multiple of every page size */
enum { FEW = 6 };

static struct {
    unsigned char *block;
    size_t bytes;
} fenced[ARRAYS];
static int used, at_end;

/* n zeros between two pages that are out of bounds, next to the later one or next to the first. */
static void *array(size_t n, size_t size)
{
    const size_t inside = (n * size + PAGE - 1) / PAGE * PAGE;
    unsigned char *block =
        mmap(NULL, inside + 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (used == ARRAYS || block == MAP_FAILED ||
        mprotect(block + PAGE, inside, PROT_READ | PROT_WRITE)) {
        exit(2);
    }
    fenced[used].block = block;
    fenced[used++].bytes = inside + 2 * PAGE;
    return at_end ? block + PAGE + inside - n * size : block + PAGE;
}

static float *floats(int64_t n) { return array((size_t)n, sizeof(float)); }

static void free_arrays(void)
{
    while (used > 0) {
        used--;
        munmap(fenced[used].block, fenced[used].bytes);
    }
}

/* n rows of `size` values, from which the results are `size` values, too; T is the tile's width. */
static void run(const im_kernels *k, int64_t n, int64_t size, int64_t T)
{
    const ptrdiff_t stride = 2 * size + 3;
    float *rows = floats((n - 1) * stride + size);
    float *tile = floats(size * T), *x = floats(size * T), *y = floats(n * size);
    float *panels = floats(size * (1 + size)), *parameters = floats(size);
    float *panel = floats(1 + size), *column = floats(T);
    const ptrdiff_t back = -stride; /* from the last row to the first */

    k->load_tile(rows, stride, n, size, tile, T);
    k->load_tile(rows + (n - 1) * stride, back, n, size, tile, T);
    k->store_tile(tile, T, n, size, y, size);
    if (T > 1) {
        const float **sources = array((size_t)T, sizeof *sources);
        float **targets = array((size_t)n, sizeof *targets);
        for (int64_t i = 0; i < T; i++) {
            sources[i] = rows + (i < n ? i : 0) * stride;
        }
        for (int64_t i = 0; i < n; i++) {
            targets[i] = y + (n - 1 - i) * size;
        }
        k->load_lanes(sources, stride, size, tile, T);
        k->store_lanes(tile, T, n, size, targets);
    }
    if (T == 1) {
        for (int64_t few = 1; few <= FEW; few++) {
            float *in = floats((few - 1) * stride + size), *out = floats((few - 1) * stride + size);
            k->dense_few(in, stride, few, panels, out, size, size, 0);
            k->dense_few(in, stride, few, panel, out, size, 1, 1);
        }
    } else {
        k->dense(tile, panels, x, size, size, T, 0, (im_soon){NULL, 0});
        k->dense(tile, panels, x, size, size, T, 1, (im_soon){rows, n * size});
        k->dense(tile, panel, column, size, 1, T, 0, (im_soon){y, n * size});
        k->dense_rows(rows, stride, n, size, panel, column, 1, T, 0);
        k->dense_rows(rows + (n - 1) * stride, back, n, size, panel, column, 1, T, 1);
        if (size % k->lanes == 0) {
            k->dense_rows(rows, stride, n, size, panels, x, size, T, 0);
            k->dense_rows(rows + (n - 1) * stride, back, n, size, panels, x, size, T, 1);
        }
    }
    for (int activation = IM_RELU; activation <= IM_RECIPROCAL; activation++) {
        k->activate(x, (size_t)(size * T), activation);
    }
    k->softmax(x, NULL, size, T);
    k->softmax(x, tile, size, T);
    k->add_parameters(x, parameters, size, T);
    k->mul_parameters(x, parameters, size, T);
    k->clip(x, parameters, parameters, size, T);
    const int64_t buffers[2] = {0, 0};
    k->add_buffers(tile, buffers, 2, x, size, T);
    k->mul_buffers(tile, buffers, 2, x, size, T);
    k->add_heads(tile, x, x, size, size, T);
    k->mul_heads(tile, column, x, size, 1, T);
    int64_t *indexes = array((size_t)size, sizeof *indexes);
    indexes[0] = size - 1;
    k->copy_masked(tile, indexes, size, x, T);
    k->reduce_sum(x, column, size, T);

    int32_t *index = array(4, sizeof *index);
    float *values = floats(4 * size);
    for (int i = 0; i < 4; i++) {
        index[i] = i;
    }
    for (int64_t i = 0; i < T; i++) {
        column[i] = (float)(i % 6 - 1); /* keys 0 … 3, and two that are not there */
    }
    const im_map map = {.first_key = 0, .span = 4, .index = index, .values = values};
    const im_map contiguous = {.first_key = 0, .span = 4, .values = values};
    k->map_transform(&map, parameters, column, x, size, T);
    k->map_transform(&contiguous, parameters, column, x, size, T);
    k->flush(y, n * size);
    k->canonical(y, n * size);
    k->count_at_least(y, floats(3 * size), array(3 * size, sizeof(int64_t)), n, size, 3);
    if (!k->all_finite(y, n * size)) {
        exit(3);
    }
    free_arrays();
}

int main(int count, char **arguments)
{
    (void)arguments;
    if (count > 1) {
        at_end = 1;
        volatile float *x = floats(5);
        return x[5] == 0.0f;
    }
    const int64_t sizes[] = {1,  2,  3,  4,  5,  7,  8,  9,  15,  16, 17,
                             19, 24, 31, 32, 33, 47, 48, 49, 130, 150};
    for (const im_kernels *const *k = im_available_kernels(); *k; k++) {
        const uint64_t mode = im_fp_enter();
        for (at_end = 0; at_end < 2; at_end++) {
            for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
                run(*k, 1, sizes[i], 1);
                for (int64_t n = 1; n <= 2 * (*k)->block; n += n < 40 ? 3 : 17) {
                    const int64_t T = (n + (*k)->lanes - 1) / (*k)->lanes * (*k)->lanes;
                    if (T > 1) {
                        run(*k, n, sizes[i], T);
                    }
                }
            }
        }
        im_fp_leave(mode);
        puts((*k)->name);
    }
    return 0;
}
