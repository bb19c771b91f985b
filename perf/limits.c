/* The machine's limits: how fast can it multiply and add, and read memory?
 *
 *     limits fma ISA THREADS SECONDS          prints float32 operations per second, an FMA is two
 *     limits read MEBIBYTES THREADS SECONDS   prints bytes per second
 *
 * The work is repeated for SECONDS, and the fastest repetition counts: whatever else runs on the
 * machine only ever slows one down. The threads start a repetition together, and it lasts until the
 * last one is done. Both loops check their own result, so that a compiler that dropped part of the
 * work is caught.
 */

#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define MAX_THREADS 1024

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static _Noreturn void fail(const char *message)
{
    fprintf(stderr, "limits: %s\n", message);
    exit(1);
}

/* ------------------------------------------------------------------------------ the two loops */

/* Assembly, so that the instruction is the one that the name says. A step adds 1 · 1 to every
 * accumulator; a core needs latency × units = 8 to 16 of them, and AVX2 has 16 registers in all. */

#define FMA_STEPS 100000 /* their sum stays below 2^24: exact in float32 */
#define TWELVE(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11)
#define TWENTY_FOUR(X)                                                                             \
    TWELVE(X) X(12) X(13) X(14) X(15) X(16) X(17) X(18) X(19) X(20) X(21) X(22) X(23)

#define DECLARE(i) vector a##i = {0};
#define COLLECT(i) total += a##i;
#define DEFINE_FMA(name, bytes, ACCUMULATORS, STEP)                                                \
    static double name(void)                                                                       \
    {                                                                                              \
        typedef float vector __attribute__((vector_size(bytes)));                                  \
        vector one = (vector){0} + 1.0f, total = {0};                                              \
        ACCUMULATORS(DECLARE)                                                                      \
        for (int step = 0; step < FMA_STEPS; step++) {                                             \
            ACCUMULATORS(STEP)                                                                     \
        }                                                                                          \
        ACCUMULATORS(COLLECT)                                                                      \
        double sum = 0;                                                                            \
        for (int lane = 0; lane < (int)(bytes / sizeof(float)); lane++) {                          \
            sum += total[lane];                                                                    \
        }                                                                                          \
        return sum; /* how many FMAs there were */                                                 \
    }

/* Four streams at once: one alone leaves the prefetchers of some cores idle. */
#define DEFINE_READ(name, bytes)                                                                   \
    static uint64_t name(const void *data, size_t size)                                            \
    {                                                                                              \
        typedef uint64_t vector __attribute__((vector_size(bytes)));                               \
        const size_t quarter = size / 4 / sizeof(vector);                                          \
        const vector *p0 = data, *p1 = p0 + quarter, *p2 = p1 + quarter, *p3 = p2 + quarter;       \
        vector a0 = {0}, a1 = {0}, a2 = {0}, a3 = {0};                                             \
        for (size_t i = 0; i < quarter; i++) {                                                     \
            a0 += p0[i], a1 += p1[i], a2 += p2[i], a3 += p3[i];                                    \
        }                                                                                          \
        a0 += a1 + a2 + a3;                                                                        \
        uint64_t sum = 0;                                                                          \
        for (size_t lane = 0; lane < bytes / sizeof(uint64_t); lane++) {                           \
            sum += a0[lane];                                                                       \
        }                                                                                          \
        return sum;                                                                                \
    }

/* To clang-format, the definitions look like parts of one declaration. */
/* clang-format off */
#if defined(__x86_64__)
#define STEP(i) __asm__ volatile("vfmadd231ps %1, %1, %0" : "+v"(a##i) : "v"(one));
__attribute__((target("avx512f"))) DEFINE_FMA(fma_avx512, 64, TWENTY_FOUR, STEP)
__attribute__((target("avx512f"))) DEFINE_READ(read_avx512, 64)
#undef STEP
#define STEP(i) __asm__ volatile("vfmadd231ps %1, %1, %0" : "+x"(a##i) : "x"(one));
__attribute__((target("avx2,fma"))) DEFINE_FMA(fma_avx2, 32, TWELVE, STEP)
__attribute__((target("avx2"))) DEFINE_READ(read_avx2, 32)
#elif defined(__aarch64__)
#define STEP(i) __asm__ volatile("fmla %0.4s, %1.4s, %1.4s" : "+w"(a##i) : "w"(one));
DEFINE_FMA(fma_neon, 16, TWENTY_FOUR, STEP)
#endif
DEFINE_READ(read_baseline, 16)

typedef double (*fma_loop)(void);
typedef uint64_t (*read_loop)(const void *data, size_t size);
/* clang-format on */

static fma_loop find_fma(const char *isa)
{
#if defined(__x86_64__)
    if (!strcmp(isa, "avx512") && __builtin_cpu_supports("avx512f")) {
        return fma_avx512;
    }
    if (!strcmp(isa, "avx2") && __builtin_cpu_supports("fma")) {
        return fma_avx2;
    }
#elif defined(__aarch64__)
    if (!strcmp(isa, "neon")) {
        return fma_neon;
    }
#endif
    fail("this CPU lacks the instruction set, or it has no FMA");
}

static read_loop find_read(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f")) {
        return read_avx512;
    }
    if (__builtin_cpu_supports("avx2")) {
        return read_avx2;
    }
#endif
    return read_baseline;
}

/* ---------------------------------------------------------------------------------- the threads */

static struct {
    int threads;
    double seconds;
    fma_loop fma; /* NULL: read */
    read_loop read;
    size_t bytes; /* per thread, a multiple of 256 */
    double work;  /* of a repetition, all threads */
    double best;  /* work per second of the fastest repetition */
    double ends[MAX_THREADS];
    atomic_int arrived, turn, stop;
} run;

/* Spins: threads that sleep would not start together. */
static void barrier(void)
{
    int turn = atomic_load(&run.turn);
    if (atomic_fetch_add(&run.arrived, 1) + 1 == run.threads) {
        atomic_store(&run.arrived, 0);
        atomic_fetch_add(&run.turn, 1);
    }
    while (atomic_load(&run.turn) == turn) {
        sched_yield();
    }
}

static void repetition(const void *data)
{
    if (run.fma) {
        if (run.fma() != run.work / 2 / run.threads) {
            fail("the FMA loop lost some of its work");
        }
    } else if (run.read(data, run.bytes) != run.bytes / sizeof(uint64_t)) {
        fail("the read loop lost some of its work");
    }
}

static void *worker(void *argument)
{
    int thread = (int)(intptr_t)argument;
    uint64_t *data = NULL;
    if (run.bytes) {
        if (posix_memalign((void **)&data, 2 << 20, run.bytes)) {
            fail("out of memory");
        }
#ifdef MADV_HUGEPAGE
        madvise(data, run.bytes, MADV_HUGEPAGE); /* as NumPy does with large arrays */
#endif
        for (size_t i = 0; i < run.bytes / sizeof *data; i++) {
            data[i] = 1;
        }
    }
    double begin = now();
    for (double start = begin; !atomic_load(&run.stop);) {
        barrier();
        if (thread == 0) {
            start = now();
        }
        repetition(data);
        run.ends[thread] = now();
        barrier();
        if (thread == 0) {
            double end = 0;
            for (int i = 0; i < run.threads; i++) {
                end = run.ends[i] > end ? run.ends[i] : end;
            }
            double rate = run.work / (end - start);
            run.best = rate > run.best ? rate : run.best;
            atomic_store(&run.stop, end - begin > run.seconds);
        }
        barrier();
    }
    free(data);
    return NULL;
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        fail("see the head of limits.c");
    }
    run.threads = atoi(argv[3]);
    run.seconds = atof(argv[4]);
    if (run.threads < 1 || run.threads > MAX_THREADS) {
        fail("no such number of threads");
    }
    if (!strcmp(argv[1], "fma")) {
        run.fma = find_fma(argv[2]);
        run.work = 2 * run.fma() * run.threads;
    } else if (!strcmp(argv[1], "read")) {
        run.read = find_read();
        run.bytes = ((size_t)atol(argv[2]) << 20) / (size_t)run.threads / 256 * 256;
        run.work = (double)run.bytes * run.threads;
    } else {
        fail("fma or read?");
    }
    pthread_t threads[MAX_THREADS];
    for (int i = 1; i < run.threads; i++) {
        if (pthread_create(&threads[i], NULL, worker, (void *)(intptr_t)i)) {
            fail("no thread");
        }
    }
    worker((void *)0);
    for (int i = 1; i < run.threads; i++) {
        pthread_join(threads[i], NULL);
    }
    printf("%.6e\n", run.best);
    return 0;
}
