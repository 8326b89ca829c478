/* Real faults of a disk, by LD_PRELOAD: the k-th call of a kind on files below a folder fails, once or until cleared.
 *
 * The process arms it through ctypes: fault_arm(folder, kinds, k, error, sticky, torn), fault_clear() -> calls seen.
 * error 0: the process is killed there instead. torn: half of what was to be written is written before.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { WRITES = 1, SYNCS = 2, TRUNCATES = 4, OPENS = 8 };

static char folder[PATH_MAX];
static int kinds, error_number, sticky, torn;
static long failing, seen;
static unsigned char ours[65536]; /* descriptors of files below the folder */

void fault_arm(const char *where, int which, long k, int error, int stays, int half) {
    strncpy(folder, where, sizeof folder - 1);
    kinds = which, failing = k, error_number = error, sticky = stays, torn = half, seen = 0;
}

long fault_clear(void) {
    kinds = 0;
    return seen;
}

static int is_below(const char *path) { return folder[0] && path && !strncmp(path, folder, strlen(folder)); }

static int fails(int kind) {
    if (!(kinds & kind)) return 0;
    seen++;
    return seen == failing || (sticky && seen > failing);
}

static int failed(void) {
    if (!error_number) kill(getpid(), SIGKILL);
    errno = error_number;
    return -1;
}

static int is_ours(int fd) { return fd >= 0 && fd < (int)sizeof ours && ours[fd]; }

#define REAL(name) \
    static __typeof__(&name) real; \
    if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

#define OPENER(name, call) \
    va_list rest; \
    va_start(rest, flags); \
    mode_t mode = (flags & (O_CREAT | O_TMPFILE)) ? va_arg(rest, mode_t) : 0; \
    va_end(rest); \
    REAL(name); \
    int below = is_below(path); \
    if (below && fails(OPENS)) return failed(); \
    int fd = call; \
    if (fd >= 0 && fd < (int)sizeof ours) ours[fd] = below; \
    return fd

int open(const char *path, int flags, ...) { OPENER(open, real(path, flags, mode)); }
int open64(const char *path, int flags, ...) { OPENER(open64, real(path, flags, mode)); }
int openat(int at, const char *path, int flags, ...) { OPENER(openat, real(at, path, flags, mode)); }
int openat64(int at, const char *path, int flags, ...) { OPENER(openat64, real(at, path, flags, mode)); }

ssize_t write(int fd, const void *data, size_t size) {
    REAL(write);
    if (is_ours(fd) && fails(WRITES)) {
        if (torn) (void)!real(fd, data, size / 2);
        return failed();
    }
    return real(fd, data, size);
}

#define PWRITE(name) \
    REAL(name); \
    if (is_ours(fd) && fails(WRITES)) { \
        if (torn) (void)!real(fd, data, size / 2, at); \
        return failed(); \
    } \
    return real(fd, data, size, at)

ssize_t pwrite(int fd, const void *data, size_t size, off_t at) { PWRITE(pwrite); }
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) { PWRITE(pwrite64); }

int fsync(int fd) {
    REAL(fsync);
    return is_ours(fd) && fails(SYNCS) ? failed() : real(fd);
}

int fdatasync(int fd) {
    REAL(fdatasync);
    return is_ours(fd) && fails(SYNCS) ? failed() : real(fd);
}

int ftruncate(int fd, off_t size) {
    REAL(ftruncate);
    return is_ours(fd) && fails(TRUNCATES) ? failed() : real(fd, size);
}

int ftruncate64(int fd, off64_t size) {
    REAL(ftruncate64);
    return is_ours(fd) && fails(TRUNCATES) ? failed() : real(fd, size);
}

int posix_fallocate(int fd, off_t from, off_t size) {
    REAL(posix_fallocate);
    return is_ours(fd) && fails(TRUNCATES) ? (failed(), error_number) : real(fd, from, size);
}

int close(int fd) {
    REAL(close);
    if (is_ours(fd)) ours[fd] = 0;
    return real(fd);
}
