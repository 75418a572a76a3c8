/* What the fault harness loads before a program's own libraries (LD_PRELOAD), to fail syncs, to skew the wall clock, and to end the
 * program in the middle of a write. It does what a page of a control file says, which the harness writes at any moment, and counts there
 * what it did. Without BRAG_FAULTS_CONTROL it does nothing.
 *
 * The layout of `struct control` is repeated in tests/src/faults/control.rs. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

struct control {
    _Atomic int64_t fail_syncs;     /* not nought: every sync of a file fails with EIO */
    _Atomic int64_t skew_ns;        /* is added to the wall clock */
    _Atomic int64_t die_in_write;   /* n: the n-th write to a file from now on is cut in half, and the program with it */
    _Atomic int64_t n_log_syncs;    /* syncs below a folder `log` */
    _Atomic int64_t n_store_syncs;  /* syncs below a folder `store` */
    _Atomic int64_t n_failed_syncs; /* syncs that were made to fail */
    _Atomic int64_t n_skewed_reads; /* readings of the wall clock that were skewed */
    _Atomic int64_t n_cut_writes;   /* writes that were cut in half */
};

static struct control *control;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("BRAG_FAULTS_CONTROL");
    if (!path) return;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) return;
    void *page = mmap(NULL, sizeof(struct control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (page != MAP_FAILED) control = page;
}

#define REAL(name) \
    static __typeof__(&name) real; \
    if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

/* Counts a sync by what is synced, and says whether it has to fail. */
static int sync_fails(int fd) {
    if (!control) return 0;
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length > 0) {
        path[length] = 0;
        if (strstr(path, "/log/")) atomic_fetch_add(&control->n_log_syncs, 1);
        if (strstr(path, "/store/")) atomic_fetch_add(&control->n_store_syncs, 1);
    }
    if (!atomic_load(&control->fail_syncs)) return 0;
    atomic_fetch_add(&control->n_failed_syncs, 1);
    errno = EIO;
    return 1;
}

int fsync(int fd) {
    REAL(fsync);
    return sync_fails(fd) ? -1 : real(fd);
}

int fdatasync(int fd) {
    REAL(fdatasync);
    return sync_fails(fd) ? -1 : real(fd);
}

int sync_file_range(int fd, off64_t offset, off64_t length, unsigned int flags) {
    REAL(sync_file_range);
    return sync_fails(fd) ? -1 : real(fd, offset, length, flags);
}

/* The skew of the wall clock, in nanoseconds. */
static int64_t skew(void) {
    int64_t ns = control ? atomic_load(&control->skew_ns) : 0;
    if (ns) atomic_fetch_add(&control->n_skewed_reads, 1);
    return ns;
}

int clock_gettime(clockid_t clock, struct timespec *at) {
    REAL(clock_gettime);
    int ended = real(clock, at);
    if (ended == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        int64_t ns = skew();
        if (ns) {
            int64_t whole = at->tv_nsec + ns % 1000000000;
            at->tv_sec += ns / 1000000000 + (whole < 0 ? -1 : whole / 1000000000);
            at->tv_nsec = whole < 0 ? whole + 1000000000 : whole % 1000000000;
        }
    }
    return ended;
}

int gettimeofday(struct timeval *restrict at, void *restrict zone) {
    (void)zone;
    struct timespec now;
    if (clock_gettime(CLOCK_REALTIME, &now)) return -1;
    at->tv_sec = now.tv_sec;
    at->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *out) {
    struct timespec now;
    if (clock_gettime(CLOCK_REALTIME, &now)) return (time_t)-1;
    if (out) *out = now.tv_sec;
    return now.tv_sec;
}

/* Whether this write is the one that is cut in half. What a program prints is no file of its own. */
static int is_cut(int fd) {
    if (!control || fd < 3 || atomic_load(&control->die_in_write) <= 0) return 0;
    struct stat about;
    if (fstat(fd, &about) || !S_ISREG(about.st_mode)) return 0;
    if (atomic_fetch_sub(&control->die_in_write, 1) != 1) return 0;
    atomic_fetch_add(&control->n_cut_writes, 1);
    return 1;
}

static void die(void) {
    kill(getpid(), SIGKILL);
    for (;;) pause();
}

ssize_t write(int fd, const void *bytes, size_t n) {
    REAL(write);
    if (is_cut(fd)) {
        if (real(fd, bytes, n / 2) < 0) { /* it ends all the same */ }
        die();
    }
    return real(fd, bytes, n);
}

ssize_t pwrite64(int fd, const void *bytes, size_t n, off64_t offset) {
    REAL(pwrite64);
    if (is_cut(fd)) {
        if (real(fd, bytes, n / 2, offset) < 0) { /* it ends all the same */ }
        die();
    }
    return real(fd, bytes, n, offset);
}

ssize_t pwrite(int fd, const void *bytes, size_t n, off_t offset) {
    return pwrite64(fd, bytes, n, offset);
}

ssize_t writev(int fd, const struct iovec *parts, int n) {
    REAL(writev);
    if (is_cut(fd)) {
        if (n > 0 && write(fd, parts[0].iov_base, parts[0].iov_len / 2) < 0) { /* it ends all the same */ }
        die();
    }
    return real(fd, parts, n);
}
