/* atomic.h: the atomic operations that threads need to share out rows. */
#ifndef INSTMODEL_ATOMIC_H
#define INSTMODEL_ATOMIC_H

#include <stdint.h>

#if defined(__GNUC__)
/* Put n into *p if *expected is there: 1. Else get what is there: 0. */
static inline int im_replace(int64_t *p, int64_t *expected /* INOUT */, int64_t n)
{
    return __atomic_compare_exchange_n(p, expected, n, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}
static inline int64_t im_load(int64_t *p) { return __atomic_load_n(p, __ATOMIC_RELAXED); }
static inline void im_store(int64_t *p, int64_t n) { __atomic_store_n(p, n, __ATOMIC_RELAXED); }
#elif defined(_MSC_VER)
#include <intrin.h>
static inline int im_replace(int64_t *p, int64_t *expected /* INOUT */, int64_t n)
{
    const int64_t before = *expected;
    *expected = _InterlockedCompareExchange64(p, n, before);
    return *expected == before;
}
static inline int64_t im_load(int64_t *p) { return _InterlockedOr64(p, 0); }
static inline void im_store(int64_t *p, int64_t n) { _InterlockedExchange64(p, n); }
#else
#error "no atomic operations for this compiler"
#endif
#endif
