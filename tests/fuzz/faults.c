/* faults.c: lets the n-th allocation or the n-th system call fail. Loaded with LD_PRELOAD by
 * tests/model/test_faults.py; glibc only. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <sys/uio.h>

/* Calls until the one that fails; 0 and below: none does. */
static long memory_left, io_left;
static long memory_calls, io_calls;

void faults_arm(long memory, long io)
{
    memory_calls = io_calls = 0;
    memory_left = memory;
    io_left = io;
}
long faults_memory_left(void) { return memory_left; }
long faults_io_calls(void) { return io_calls; }

static int fails(long *left, long *calls)
{
    __atomic_fetch_add(calls, 1, __ATOMIC_RELAXED);
    return __atomic_load_n(left, __ATOMIC_RELAXED) > 0 &&
           __atomic_fetch_sub(left, 1, __ATOMIC_RELAXED) == 1;
}

/* --------------------------------------------------------------------------------- allocations */

void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);

static int no_memory(void)
{
    if (fails(&memory_left, &memory_calls)) {
        errno = ENOMEM;
        return 1;
    }
    return 0;
}

void *malloc(size_t n) { return no_memory() ? NULL : __libc_malloc(n); }
void *calloc(size_t n, size_t size) { return no_memory() ? NULL : __libc_calloc(n, size); }
void *realloc(void *p, size_t n) { return no_memory() ? NULL : __libc_realloc(p, n); }
void *aligned_alloc(size_t a, size_t n) { return no_memory() ? NULL : __libc_memalign(a, n); }
int posix_memalign(void **p, size_t a, size_t n)
{
    if (no_memory()) {
        return ENOMEM;
    }
    *p = __libc_memalign(a, n);
    return *p ? 0 : ENOMEM;
}

/* -------------------------------------------------------------------------------- system calls */

static int no_io(int error)
{
    if (fails(&io_left, &io_calls)) {
        errno = error;
        return 1;
    }
    return 0;
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t read(int fd, void *p, size_t n) { return no_io(EIO) ? -1 : NEXT(read)(fd, p, n); }
ssize_t write(int fd, const void *p, size_t n)
{
    return no_io(ENOSPC) ? -1 : NEXT(write)(fd, p, n);
}
ssize_t preadv64(int fd, const struct iovec *v, int n, off64_t at)
{
    return no_io(EIO) ? -1 : NEXT(preadv64)(fd, v, n, at);
}
ssize_t preadv64v2(int fd, const struct iovec *v, int n, off64_t at, int flags)
{
    return no_io(EIO) ? -1 : NEXT(preadv64v2)(fd, v, n, at, flags);
}
int fsync(int fd) { return no_io(EIO) ? -1 : NEXT(fsync)(fd); }
int rename(const char *a, const char *b) { return no_io(EIO) ? -1 : NEXT(rename)(a, b); }
void *mmap64(void *p, size_t n, int prot, int flags, int fd, off64_t at)
{
    /* Without a file it is memory, which CPython's allocator also asks for. */
    return fd >= 0 && no_io(ENODEV) ? MAP_FAILED : NEXT(mmap64)(p, n, prot, flags, fd, at);
}
int open64(const char *path, int flags, ...)
{
    va_list more;
    va_start(more, flags);
    const int mode = va_arg(more, int);
    va_end(more);
    return no_io(EMFILE) ? -1 : NEXT(open64)(path, flags, mode);
}
