/* atomic.h: the two atomic operations that threads need to share out a job. */
#ifndef INSTMODEL_ATOMIC_H
#define INSTMODEL_ATOMIC_H

#include <stdint.h>

#if defined(__GNUC__)
static inline int64_t im_fetch_add(int64_t *p, int64_t n)
{
    return __atomic_fetch_add(p, n, __ATOMIC_RELAXED);
}
static inline int64_t im_load(int64_t *p) { return __atomic_load_n(p, __ATOMIC_RELAXED); }
static inline void im_store(int64_t *p, int64_t n) { __atomic_store_n(p, n, __ATOMIC_RELAXED); }
#elif defined(_MSC_VER)
#include <intrin.h>
static inline int64_t im_fetch_add(int64_t *p, int64_t n) { return _InterlockedExchangeAdd64(p, n); }
static inline int64_t im_load(int64_t *p) { return _InterlockedOr64(p, 0); }
static inline void im_store(int64_t *p, int64_t n) { _InterlockedExchange64(p, n); }
#else
#error "no atomic operations for this compiler"
#endif
#endif
