/** @file
 * How a file appears in a file store.
 */
#include "lib/store/file_put.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/base/scope.h"

/** Removing an object removes directories it leaves empty, perhaps between our making one and our
 * using it: then it is made again. */
#define PRUNED_TRIES 16
#define COPY_CHUNK (16u << 20)
#define BUFFER_BYTES (1u << 20)

static atomic_bool named_only;

void file_put_force_named(bool force)
{
    atomic_store(&named_only, force);
}

static void temp_name(char ret_name[FILE_PUT_NAME])
{
    static atomic_uint next;

    snprintf(ret_name, FILE_PUT_NAME, ".sevird-%ld-%u.tmp", (long)getpid(),
             atomic_fetch_add(&next, 1));
}

static int open_named(struct file_put *put)
{
    for (;;) {
        temp_name(put->temp);

        int fd = openat(put->dir, put->temp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);

        if (fd >= 0 || errno != EEXIST) {
            return fd;
        }
    }
}

/** How an unnamed file gets its name: through its descriptor, which takes a system that lets its
 * opener do so (Linux 6.10) or a privilege, or else through /proc, which takes longer. */
enum naming_way { UNKNOWN, BY_DESCRIPTOR, BY_PROC };
static _Atomic(enum naming_way) naming_way;

static int open_unnamed(struct file_put *put)
{
    if (atomic_load(&named_only) ||
        (atomic_load(&naming_way) != BY_DESCRIPTOR && access("/proc/self/fd", X_OK) != 0)) {
        errno = EOPNOTSUPP;
        return -1;
    }
    return openat(put->dir, ".", O_RDWR | O_TMPFILE | O_CLOEXEC, 0666);
}

/** In put->dir, which is open. */
static int open_in_dir(struct file_put *put)
{
    int fd = open_unnamed(put);

    if (fd < 0 && errno != ENOSPC && errno != EDQUOT && errno != EACCES && errno != EROFS) {
        fd = open_named(put);
    }
    return fd;
}

static enum rc open_file(struct file_put *put, struct err *err)
{
    for (int i = 0; i < PRUNED_TRIES; i++) {
        if (put->dir < 0) {
            put->dir = file_path_parent(put->root, put->key, true, &put->name);
        }
        put->fd = put->dir >= 0 ? open_in_dir(put) : -1;
        if (put->fd >= 0) {
            return RC_OK;
        }
        int error_number = errno;

        put->temp[0] = '\0';
        file_put_done(put);
        if (error_number != ENOENT) {
            return file_path_error(err, error_number, "put", put->key);
        }
    }
    return file_path_fail(err, RC_IO, put->key, "cannot be put, its directory keeps going away");
}

enum rc file_put_open(struct file_put *put, int root, const char *key, struct err *err)
{
    *put = (struct file_put){.root = root, .key = key, .dir = -1, .fd = -1};
    return open_file(put, err);
}

/** Bytes of a key before the last part of it. */
static size_t folder_len(const char *key)
{
    const char *slash = strrchr(key, '/');

    return slash != NULL ? (size_t)(slash - key) + 1 : 0;
}

enum rc file_put_next(struct file_put *put, const char *key, struct err *err)
{
    const size_t len = folder_len(key);
    const bool same = folder_len(put->key) == len && memcmp(put->key, key, len) == 0;
    struct file_put next = {.root = put->root, .key = key, .dir = -1, .fd = -1};

    if (same) {
        next.dir = put->dir;
        next.name = key + len;
        put->dir = -1;
    }
    file_put_done(put);
    *put = next;
    return open_file(put, err);
}

enum rc file_put_write(struct file_put *put, const void *bytes, size_t len, struct err *err)
{
    const char *from = bytes;

    while (len > 0) {
        ssize_t n = write(put->fd, from, len);

        if (n < 0 && errno != EINTR) {
            return file_path_error(err, errno, "put", put->key);
        }
        if (n > 0) {
            from += n;
            len -= (size_t)n;
        }
    }
    return RC_OK;
}

static bool advance(struct file_progress *progress, uint64_t bytes)
{
    if (progress == NULL) {
        return true;
    }
    atomic_fetch_add(&progress->bytes, bytes);
    if (progress->moved != NULL) {
        progress->moved(progress->arg);
    }
    return !atomic_load(&progress->canceled);
}

/** The plain way, from where both descriptors stand. */
static enum rc copy_through_memory(struct file_put *put, int from, const char *from_key,
                                   struct file_progress *progress, struct err *err)
{
    scoped(free) char *buffer = mem_try(1, BUFFER_BYTES);

    if (buffer == NULL) {
        return file_path_error(err, ENOMEM, "copy", from_key);
    }
    for (;;) {
        ssize_t n = read(from, buffer, BUFFER_BYTES);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return file_path_error(err, errno, "read", from_key);
        }
        if (n == 0) {
            return RC_OK;
        }
        if (file_put_write(put, buffer, (size_t)n, err) != RC_OK) {
            return err->rc;
        }
        if (!advance(progress, (uint64_t)n)) {
            return file_path_fail(err, RC_CANCELED, from_key, "was not copied, asked to stop");
        }
    }
}

static bool kernel_cannot(int error_number)
{
    return error_number == EXDEV || error_number == EINVAL || error_number == ENOSYS ||
           error_number == EOPNOTSUPP || error_number == EPERM || error_number == EBADF;
}

static enum rc copy_bytes(struct file_put *put, int from, uint64_t size, const char *from_key,
                          struct file_progress *progress, struct err *err)
{
    if (size > 0 && ioctl(put->fd, FICLONE, from) == 0) {
        advance(progress, size);
        return RC_OK;
    }
    for (;;) {
        ssize_t n = copy_file_range(from, NULL, put->fd, NULL, COPY_CHUNK, 0);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        /* Some file systems (procfs) claim to be at the end of a file that they cannot splice. */
        if ((n < 0 && kernel_cannot(errno)) || n == 0) {
            return copy_through_memory(put, from, from_key, progress, err);
        }
        if (n < 0) {
            return file_path_error(err, errno, "put", put->key);
        }
        if (!advance(progress, (uint64_t)n)) {
            return file_path_fail(err, RC_CANCELED, from_key, "was not copied, asked to stop");
        }
    }
}

enum rc file_put_copy(struct file_put *put, int from, const char *from_key,
                      struct file_progress *progress, struct err *err)
{
    char etag_before[FILE_ETAG], etag_after[FILE_ETAG];
    struct stat before, after, made;

    if (fstat(from, &before) != 0) {
        return file_path_error(err, errno, "read", from_key);
    }
    if (copy_bytes(put, from, (uint64_t)before.st_size, from_key, progress, err) != RC_OK) {
        return err->rc;
    }
    if (fstat(from, &after) != 0 || fstat(put->fd, &made) != 0) {
        return file_path_error(err, errno, "read", from_key);
    }
    file_path_etag(&before, etag_before);
    file_path_etag(&after, etag_after);
    if (strcmp(etag_before, etag_after) != 0 || made.st_size != after.st_size) {
        return file_path_fail(err, RC_CHANGED, from_key, "changed while it was copied");
    }
    return RC_OK;
}

static bool is_exclusive(const struct file_put *put)
{
    return put->if_match != NULL && put->if_match[0] == '\0';
}

void file_put_etag(const struct file_put *put, char ret_etag[FILE_ETAG])
{
    struct stat st;

    ret_etag[0] = '\0';
    if (fstat(put->fd, &st) == 0) {
        file_path_etag(&st, ret_etag);
    }
}

/** Whether the file that is there is the one that must be. */
static enum rc check_match(const struct file_put *put, struct err *err)
{
    char etag[FILE_ETAG] = "";
    struct stat st;
    int fd;

    if (put->if_match == NULL || is_exclusive(put)) {
        return RC_OK;
    }
    fd = file_path_open(put->root, put->key, O_PATH);
    if (fd >= 0 && fstat(fd, &st) == 0) {
        file_path_etag(&st, etag);
    }
    if (fd >= 0) {
        close(fd);
    }
    if (strcmp(put->if_match, etag) == 0) {
        return RC_OK;
    }
    return file_path_fail(err, RC_CONFLICT, put->key,
                          etag[0] != '\0' ? "is another version by now" : "is not there any more");
}

static int link_through_proc(const struct file_put *put, const char *name)
{
    char proc[40];

    snprintf(proc, sizeof(proc), "/proc/self/fd/%d", put->fd);
    return linkat(AT_FDCWD, proc, put->dir, name, AT_SYMLINK_FOLLOW);
}

static int link_as(const struct file_put *put, const char *name)
{
    const enum naming_way way = atomic_load(&naming_way);
    int failed;

    if (way == BY_PROC) {
        return link_through_proc(put, name);
    }
    failed = linkat(put->fd, "", put->dir, name, AT_EMPTY_PATH);
    if (way == BY_DESCRIPTOR) {
        return failed;
    }
    if (failed == 0) {
        atomic_store(&naming_way, BY_DESCRIPTOR);
    } else if (errno != EEXIST) { /* ENOENT may mean either: that we must not, or no directory */
        failed = link_through_proc(put, name);
        if (failed == 0) {
            atomic_store(&naming_way, BY_PROC);
        }
    }
    return failed;
}

/** What a rename must not take away: nobody can put it back. Links are followed. */
static bool is_no_file(const struct file_put *put)
{
    struct stat st;

    return fstatat(put->dir, put->name, &st, 0) == 0 && !S_ISREG(st.st_mode) &&
           !S_ISDIR(st.st_mode);
}

/** Link the unnamed file to put->name, or through a hidden name over the file that is there. */
static int name_unnamed(struct file_put *put)
{
    if (link_as(put, put->name) == 0) {
        return 0;
    }
    while (errno == EEXIST && !is_exclusive(put)) {
        if (is_no_file(put)) {
            errno = ENODEV;
            break;
        }
        temp_name(put->temp);
        if (link_as(put, put->temp) == 0) {
            return renameat(put->dir, put->temp, put->dir, put->name);
        }
        put->temp[0] = '\0';
    }
    return -1;
}

static int give_name(struct file_put *put)
{
    if (put->temp[0] == '\0') {
        return name_unnamed(put);
    }
    if (!is_exclusive(put) && is_no_file(put)) {
        errno = ENODEV;
        return -1;
    }
    return renameat2(put->dir, put->temp, put->dir, put->name,
                     is_exclusive(put) ? RENAME_NOREPLACE : 0);
}

enum rc file_put_commit(struct file_put *put, struct err *err)
{
    if (check_match(put, err) != RC_OK) {
        return err->rc;
    }
    for (int i = 0;; i++) {
        int failed = give_name(put);

        if (failed == 0) {
            put->temp[0] = '\0';
            return RC_OK;
        }
        if (errno == EEXIST && is_exclusive(put)) {
            return file_path_fail(err, RC_CONFLICT, put->key, "is there already");
        }
        if (errno == ENODEV) {
            return file_path_fail(err, RC_INVALID, put->key,
                                  "is a device, a pipe or a socket, not a file");
        }
        if (errno != ENOENT || put->temp[0] != '\0' || i >= PRUNED_TRIES) {
            return file_path_error(err, errno == EEXIST ? EISDIR : errno, "put", put->key);
        }
        close(put->dir);
        put->dir = file_path_parent(put->root, put->key, true, &put->name);
        if (put->dir < 0) {
            return file_path_error(err, errno, "put", put->key);
        }
    }
}

void file_put_done(struct file_put *put)
{
    if (put->temp[0] != '\0') {
        unlinkat(put->dir, put->temp, 0);
        put->temp[0] = '\0';
    }
    if (put->fd >= 0) {
        close(put->fd);
    }
    if (put->dir >= 0) {
        close(put->dir);
    }
    put->fd = put->dir = -1;
}
