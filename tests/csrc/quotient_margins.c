/* quotient_margins.c: whether vd_quotients (simd_generic.h) may be as inexact as it may be, for all
 * that TANH asks of it.
 *
 *     quotient_margins [FIRST LAST]
 *
 * FIRST and LAST are the bits of float32 numbers; without them all numbers from 0 to 10 are taken,
 * which TANH makes of its inputs. Prints how many quotients are so close to the middle between two
 * float32 numbers that an error of 2^-51 might take them across, and what becomes of these next to
 * every other number in the same vector, with the operations of simd_avx512.h. Elsewhere the error
 * is seen to make no difference. tests/machine/test_cross.py reads the lines.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "fpmode.h"
#include "simd_generic.h"
#include "vmath.h"

/* Four roundings, each of 2^-53 at most, and what their products may add. */
static const double ERROR = 0x1.00001p-51;

static int is_close(im_tanh_fraction f)
{
    const double q = f.over / f.under;
    /* of the float32 numbers around q */
    const double middle = float64((bits64(q) & ~(uint64_t)0x1FFFFFFF) | 0x10000000);
    return fabs(fma(-middle, f.under, f.over)) <= ERROR * f.over;
}

int main(int argc, char **argv)
{
    const uint32_t first = argc > 2 ? (uint32_t)strtoul(argv[1], NULL, 0) : 0x00800000;
    const uint32_t last = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 0) : bits32(10.0f);
    const uint64_t mode = im_fp_enter();
    int close = 0;
    uint64_t wrong = 0;
    for (uint32_t u = first; u <= last; u++) {
        const im_tanh_fraction f = tanh_fraction(float32(u));
        if (!is_close(f)) {
            continue;
        }
        close++;
        const float expected = (float)(f.over / f.under);
        for (uint32_t v = first; v <= last; v++) {
            const im_tanh_fraction g = tanh_fraction(float32(v));
            const double one_over = 1.0 / (f.under * g.under);
            wrong += (float)(f.over * g.under * one_over) != expected;
        }
    }
    im_fp_leave(mode);
    printf("close %d\nwrong %" PRIu64 "\n", close, wrong);
    return 0;
}
