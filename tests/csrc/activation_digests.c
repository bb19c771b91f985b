/* activation_digests.c: one digest of each element-wise activation over every STEP-th float32
 * number, for the instruction sets that are named, or all that this build and this CPU have.
 *
 *     activation_digests STEP [SET ...]
 *
 * tests/machine/test_cross.py compares the lines; `pytest -m exhaustive` takes small steps.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fpmode.h"
#include "kernels.h"

enum { PART = 4096 };

static uint64_t digest(const im_kernels *k, int activation, uint64_t step)
{
    static float x[PART];
    uint64_t hash = 1469598103934665603u;
    uint64_t bits = 0;
    while (bits >> 32 == 0) {
        int64_t n = 0;
        for (; n < PART && bits >> 32 == 0; n++, bits += step) {
            const uint32_t number = (uint32_t)bits;
            memcpy(x + n, &number, sizeof number);
        }
        k->flush(x, n);
        k->activate(x, (size_t)n, activation);
        k->canonical(x, n);
        for (int64_t i = 0; i < n; i++) {
            uint32_t result;
            memcpy(&result, x + i, sizeof result);
            hash = (hash ^ result) * 1099511628211u;
        }
    }
    return hash;
}

static int wanted(const char *name, int count, char **names)
{
    for (int i = 0; i < count; i++) {
        if (strcmp(name, names[i]) == 0) {
            return 1;
        }
    }
    return count == 0;
}

int main(int argc, char **argv)
{
    const uint64_t step = argc > 1 ? strtoull(argv[1], NULL, 10) : 0;
    if (step == 0) {
        fprintf(stderr, "usage: activation_digests STEP [SET ...]\n");
        return 2;
    }
    const uint64_t mode = im_fp_enter();
    for (const im_kernels *const *tables = im_available_kernels(); *tables; tables++) {
        if (!wanted((*tables)->name, argc - 2, argv + 2)) {
            continue;
        }
        printf("# %s\n", (*tables)->name);
        for (int activation = IM_RELU; activation <= IM_RECIPROCAL; activation++) {
            if (activation != IM_SOFTMAX) {
                printf("activation %d %016" PRIx64 "\n", activation,
                       digest(*tables, activation, step));
                fflush(stdout);
            }
        }
    }
    im_fp_leave(mode);
    return 0;
}
