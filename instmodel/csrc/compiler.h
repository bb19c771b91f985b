/* compiler.h: what the code asks of a compiler beyond standard C. */
#ifndef INSTMODEL_COMPILER_H
#define INSTMODEL_COMPILER_H

#if defined(__GNUC__)
#define IM_INLINE static inline __attribute__((always_inline, unused))
#define IM_NOINLINE __attribute__((noinline))
#define IM_PREFETCH(p) __builtin_prefetch(p)
#define IM_PREFETCH_L2(p) __builtin_prefetch(p, 0, 2)
#else
#define IM_INLINE static inline
#define IM_NOINLINE
#define IM_PREFETCH(p) ((void)(p))
#define IM_PREFETCH_L2(p) ((void)(p))
#endif

/* In front of a loop whose number of steps is a constant: its arrays become registers. */
#if defined(__clang__)
#define IM_UNROLL _Pragma("unroll")
#elif defined(__GNUC__)
#define IM_UNROLL _Pragma("GCC unroll 16")
#else
#define IM_UNROLL
#endif

#endif
