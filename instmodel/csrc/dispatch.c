/* dispatch.c: which instruction sets were compiled, and which of them this CPU can run. */
#include "kernels.h"
#include "sha256.h"

#ifdef IM_HAVE_SHANI
#include <cpuid.h>
#endif

extern const im_kernels im_kernels_generic;
#ifdef IM_HAVE_AVX2
extern const im_kernels im_kernels_avx2;
#endif
#ifdef IM_HAVE_AVX512
extern const im_kernels im_kernels_avx512;
#endif
#ifdef IM_HAVE_NEON
extern const im_kernels im_kernels_neon;
#endif

const im_kernels *const *im_available_kernels(void)
{
    static const im_kernels *tables[5];
    int count = 0;
    if (tables[0]) {
        return tables;
    }
#ifdef IM_HAVE_AVX512
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("fma")) {
        tables[count++] = &im_kernels_avx512;
    }
#endif
#ifdef IM_HAVE_AVX2
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        tables[count++] = &im_kernels_avx2;
    }
#endif
#ifdef IM_HAVE_NEON
    tables[count++] = &im_kernels_neon; /* part of every 64-bit Arm */
#endif
    tables[count] = &im_kernels_generic;
    return tables;
}

const im_sha256 *im_available_sha256(const im_kernels *chosen)
{
#ifdef IM_HAVE_SHANI
    static const im_sha256 functions[] = {
        {IM_SHA256_STREAMS, im_sha256_avx512},
        {4, im_sha256_shani_4},
        {3, im_sha256_shani_3},
        {2, im_sha256_shani_2},
        {1, im_sha256_shani_1},
    };
    /* Not every compiler's __builtin_cpu_supports knows of "sha". It needs no more of the system
     * than SSE2 does. */
    unsigned int a, b, c, d;
    __builtin_cpu_init();
    if (chosen != &im_kernels_generic && __get_cpuid_count(7, 0, &a, &b, &c, &d) &&
        (b & bit_SHA) != 0 && __builtin_cpu_supports("sse4.1")) {
        return chosen == &im_kernels_avx512 ? functions : functions + 1;
    }
#else
    (void)chosen;
#endif
    return NULL;
}
