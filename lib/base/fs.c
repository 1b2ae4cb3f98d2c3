#include "lib/base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"

static void close_fd(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
    }
}

#define SCOPED_FD __attribute__((cleanup(close_fd)))

/** mkdir(2), content when a directory is there already. Answers an errno. */
static int make_one(const char *path, mode_t mode)
{
    struct stat there;
    int failure;

    if (mkdir(path, mode) == 0) {
        return 0;
    }
    failure = errno;
    if (stat(path, &there) == 0) {
        return S_ISDIR(there.st_mode) ? 0 : ENOTDIR;
    }
    return failure;
}

enum rc fs_mkdirs(const char *path, mode_t mode, struct err *err)
{
    scoped(free) char *copy = str_dup(path);
    int failure = 0;

    if (copy[0] == '\0') {
        return err_set(err, RC_INVALID, "make directory '': the path is empty");
    }
    for (char *p = copy + 1; failure == 0; p++) {
        if (*p == '/' && p[-1] != '/') {
            *p = '\0';
            failure = make_one(copy, mode);
            *p = '/';
        } else if (*p == '\0') {
            failure = make_one(copy, mode);
            break;
        }
    }
    return failure == 0 ? RC_OK : err_errno(err, failure, "make directory '%s'", path);
}

enum rc fs_read_file(const char *path, size_t max_bytes, char **ret_bytes, size_t *ret_len,
                     struct err *err)
{
    SCOPED_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    scoped(free) char *bytes = NULL;
    size_t len = 0, cap = 0, wanted = 4096;
    struct stat st;
    ssize_t got;

    if (fd < 0) {
        return err_errno(err, errno, "open '%s'", path);
    }
    if (fstat(fd, &st) == 0 && st.st_size > 0 && (uintmax_t)st.st_size < SIZE_MAX / 2) {
        wanted = (size_t)st.st_size + 1; /* a guess; the byte more finds the end */
    }
    do {
        if (len == cap) { /* One byte over the limit shows that the file is. */
            cap = MIN_OF(cap == 0 ? wanted : cap * 2, max_bytes + 1);
            bytes = mem_resize(bytes, cap + 1, 1);
        }
        got = read(fd, bytes + len, cap - len);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return err_errno(err, errno, "read '%s'", path);
        }
        len += (size_t)got;
        if (len > max_bytes) {
            return err_set(err, RC_LIMIT, "read '%s': longer than %zu bytes", path, max_bytes);
        }
    } while (got != 0);
    bytes[len] = '\0';
    *ret_bytes = TAKE(bytes);
    if (ret_len != NULL) {
        *ret_len = len;
    }
    return RC_OK;
}

enum rc fs_write_all(int fd, const void *bytes, size_t len, struct err *err)
{
    const char *p = bytes;

    while (len > 0) {
        ssize_t written = write(fd, p, len);

        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written < 0) {
            return err_errno(err, errno, "write %zu bytes", len);
        }
        p += written;
        len -= (size_t)written;
    }
    return RC_OK;
}

enum rc fs_sync_dir(const char *dir, struct err *err)
{
    SCOPED_FD int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0 || (fsync(fd) < 0 && errno != EINVAL)) { /* Some file systems cannot. */
        return err_errno(err, errno, "sync directory '%s'", dir);
    }
    return RC_OK;
}

/** Everything but the rename: a file of its own beside the place it goes to. */
static enum rc write_beside(int fd, const void *bytes, size_t len, mode_t mode, struct err *err)
{
    if (fs_write_all(fd, bytes, len, err) != RC_OK) {
        return err->rc;
    }
    if (fchmod(fd, mode) < 0) {
        return err_errno(err, errno, "set mode");
    }
    if (fsync(fd) < 0) {
        return err_errno(err, errno, "sync");
    }
    return RC_OK;
}

enum rc fs_may_replace(const char *path, struct err *err)
{
    struct stat st;

    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) {
        return err_set(err, RC_INVALID, "'%s' is a device, a pipe or a socket, not a file", path);
    }
    return RC_OK; /* a directory is the rename's to refuse */
}

void fs_hold_standard(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0) { /* the lowest that is free: open() takes it */
            (void)open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
        }
    }
}

enum rc fs_write_file(const char *path, const void *bytes, size_t len, mode_t mode, struct err *err)
{
    const char *name = str_basename(path);
    scoped(free) char *dir = name == path       ? str_dup(".")
                             : name - path == 1 ? str_dup("/")
                                                : str_dup_n(path, (size_t)(name - path) - 1);
    scoped(free) char *beside = str_printf("%s/.%.200s.XXXXXX", dir, name);

    if (fs_may_replace(path, err) != RC_OK) {
        return err->rc;
    }
    SCOPED_FD int fd = mkostemp(beside, O_CLOEXEC);

    if (fd < 0) {
        return err_errno(err, errno, "write '%s'", path);
    }
    if (write_beside(fd, bytes, len, mode, err) != RC_OK) {
        unlink(beside);
        return err_wrap(err, "write '%s'", path);
    }
    if (rename(beside, path) < 0) {
        err_errno(err, errno, "write '%s': rename", path);
        unlink(beside);
        return err->rc;
    }
    return fs_sync_dir(dir, err);
}

char *fs_join(const char *dir, const char *name)
{
    size_t len = strlen(dir);

    while (len > 0 && dir[len - 1] == '/') {
        len--;
    }
    while (*name == '/') {
        name++;
    }
    return str_printf("%.*s/%s", (int)len, dir, name);
}

bool fs_lies_in(const char *dir, const char *above)
{
    scoped(free) char *path = realpath(dir, NULL);
    struct stat wanted, here;

    if (path == NULL || stat(above, &wanted) != 0) {
        return false;
    }
    for (;;) {
        if (stat(path, &here) == 0 && here.st_dev == wanted.st_dev &&
            here.st_ino == wanted.st_ino) {
            return true;
        }
        char *slash = strrchr(path, '/');

        if (slash == NULL || path[1] == '\0') {
            return false;
        }
        slash[slash == path] = '\0'; /* the first slash is a directory itself */
    }
}
