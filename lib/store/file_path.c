/** @file
 * Names of a file store turned into descriptors.
 */
#include "lib/store/file_path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/base/scope.h"
#include "lib/base/str.h"
#include "lib/store/uri.h"

#define RACE_TRIES 8 /**< openat2 answers EAGAIN when a rename moved the ground under it. */

/** Whether openat2 was found missing; the same answer from every thread. */
static atomic_bool walk_only;

void file_path_force_walk(bool force)
{
    atomic_store(&walk_only, force);
}

static int open_walking(int root, const char *path, int flags)
{
    int dir = root;

    for (;;) {
        size_t len = strcspn(path, "/");
        char part[NAME_MAX + 1];
        bool last = path[len] == '\0';

        if (len > NAME_MAX) {
            errno = ENAMETOOLONG;
            break;
        }
        memcpy(part, path, len);
        part[len] = '\0';
        if (len == 0 || strcmp(part, "..") == 0) {
            errno = EXDEV;
            break;
        }
        int next = openat(dir, part,
                          last ? flags | O_NOFOLLOW | O_CLOEXEC
                               : O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        int kept = errno;

        if (dir != root) {
            close(dir);
        }
        errno = kept;
        if (next < 0 || last) {
            return next;
        }
        dir = next;
        path += len + 1;
    }
    if (dir != root) {
        int kept = errno;

        close(dir);
        errno = kept;
    }
    return -1;
}

int file_path_open(int root, const char *path, int flags)
{
    struct open_how how = {
        .flags = (unsigned)(flags | O_CLOEXEC),
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
    };

    if (path[0] == '\0') {
        path = ".";
    }
    if (strlen(path) >= PATH_MAX) {
        errno = ENAMETOOLONG;
        return -1;
    }
    for (int i = 0; !atomic_load_explicit(&walk_only, memory_order_relaxed); i++) {
        int fd = (int)syscall(SYS_openat2, root, path, &how, sizeof(how));

        if (fd >= 0 || (errno != EINTR && errno != EAGAIN && errno != ENOSYS && errno != EPERM)) {
            return fd;
        }
        if ((errno == EAGAIN || errno == EINTR) && i >= RACE_TRIES) {
            return -1;
        }
        /* EPERM may be a file's own refusal: only one for the root itself means a filter. */
        if (errno == ENOSYS || errno == EPERM) {
            struct open_how probe = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_BENEATH};
            int error_number = errno;
            int dot = (int)syscall(SYS_openat2, root, ".", &probe, sizeof(probe));

            if (dot >= 0) {
                close(dot);
                errno = error_number;
                return -1;
            }
            atomic_store(&walk_only, true);
        }
    }
    return open_walking(root, path, flags);
}

/** Make the directories of `path`, which is `len` bytes of a key. */
static int make_dirs(int root, char *path)
{
    int dir = -1;

    for (char *end = path; end != NULL;) {
        end = strchr(end + 1, '/');
        if (end != NULL) {
            *end = '\0';
        }
        if (dir >= 0) {
            close(dir);
        }
        dir = file_path_open(root, path, O_PATH | O_DIRECTORY);
        if (dir < 0 && errno == ENOENT) {
            char *name = strrchr(path, '/');
            int above = -1, failed = 0;

            if (name != NULL) {
                *name = '\0';
                above = file_path_open(root, path, O_PATH | O_DIRECTORY);
                *name = '/';
            }
            if ((name == NULL || above >= 0) &&
                mkdirat(above >= 0 ? above : root, name != NULL ? name + 1 : path, 0777) != 0 &&
                errno != EEXIST) {
                failed = errno;
            }
            if (above >= 0) {
                close(above);
            }
            dir = file_path_open(root, path, O_PATH | O_DIRECTORY);
            if (dir < 0 && failed != 0) {
                errno = failed; /* says why; that it is not there is only what came of it */
            }
        }
        if (dir < 0) {
            return -1;
        }
        if (end != NULL) {
            *end = '/';
        }
    }
    return dir;
}

int file_path_parent(int root, const char *key, bool make, const char **ret_name)
{
    const char *slash = strrchr(key, '/');
    char path[PATH_MAX];
    size_t len = slash != NULL ? (size_t)(slash - key) : 0;

    *ret_name = slash != NULL ? slash + 1 : key;
    if (len >= sizeof(path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(path, key, len);
    path[len] = '\0';

    int dir = file_path_open(root, path, O_PATH | O_DIRECTORY);

    return dir >= 0 || errno != ENOENT || !make || len == 0 ? dir : make_dirs(root, path);
}

bool file_path_hidden(const char *key)
{
    return key[0] == '.' || strstr(key, "/.") != NULL;
}

/** The codes whose meaning is the store's, not the system's in general. */
static enum rc rc_of(int error_number, const char **ret_text)
{
    switch (error_number) {
    case EXDEV:
    case ELOOP:
        *ret_text = "a link leads out of the store";
        return RC_INVALID;
    case ENAMETOOLONG:
        *ret_text = "the name is too long for the file system";
        return RC_INVALID;
    case EISDIR:
        *ret_text = "there is a directory of that name";
        return RC_INVALID;
    case ENOTDIR:
        *ret_text = "a part of the key is a file";
        return RC_INVALID;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        *ret_text = strerrordesc_np(error_number);
        return RC_NO_SPACE;
    case EACCES:
    case EPERM:
    case EROFS:
        *ret_text = strerrordesc_np(error_number);
        return RC_DENIED;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
        *ret_text = strerrordesc_np(error_number);
        return RC_HOST;
    case ENOENT:
        *ret_text = "no such object";
        return RC_NOT_FOUND;
    default:
        *ret_text = strerrordesc_np(error_number);
        return RC_IO;
    }
}

enum rc file_path_error(struct err *err, int error_number, const char *what, const char *key)
{
    char shown[URI_SHOWN];
    const char *text;
    enum rc rc = rc_of(error_number, &text);

    return err_set(err, rc, "%s '%s': %s", what, uri_show(key, shown),
                   text != NULL ? text : "unknown error");
}

enum rc file_path_fail(struct err *err, enum rc rc, const char *key, const char *text)
{
    char shown[URI_SHOWN];

    return err_set(err, rc, "'%s' %s", uri_show(key, shown), text);
}

void file_path_prune(int root, const char *key)
{
    scoped(free) char *path = str_dup(key);

    for (char *slash = strrchr(path, '/'); slash != NULL; slash = strrchr(path, '/')) {
        const char *name;
        int above, failed;

        *slash = '\0';
        above = file_path_parent(root, path, false, &name);
        if (above < 0) {
            return;
        }
        failed = unlinkat(above, name, AT_REMOVEDIR);
        close(above);
        if (failed != 0 && errno != ENOENT) {
            return;
        }
    }
}

void file_path_etag(const struct stat *st, char ret_etag[FILE_ETAG])
{
    snprintf(ret_etag, FILE_ETAG, "%llx-%llx-%llx", (unsigned long long)st->st_ino,
             (unsigned long long)st->st_size,
             (unsigned long long)st->st_mtim.tv_sec * 1000000000ull +
                 (unsigned long long)st->st_mtim.tv_nsec);
}

int64_t file_path_mtime_ms(const struct stat *st)
{
    return (int64_t)st->st_mtim.tv_sec * 1000 + st->st_mtim.tv_nsec / 1000000;
}
