/** @file
 * A directory that behaves like a bucket. Each operation is one task of the FILE lane: a worker
 * does it with plain system calls on its own copy of the arguments, the loop answers.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/store/file_list.h"
#include "lib/store/file_path.h"
#include "lib/store/file_put.h"
#include "lib/store/file_root.h"
#include "lib/store/file_sync.h"
#include "lib/store/store.h"

#define READ_CHUNK (8u << 20) /**< How often a read looks whether it was canceled. */

/** A pipe must not hold us up, nor a terminal take us over, before we have seen what they are. */
#define READ_FLAGS (O_RDONLY | O_NONBLOCK | O_NOCTTY)

struct store_file {
    struct store base;
    struct work *work;
    struct file_root *root;
    struct file_sync *sync;
    struct file_list *list; /**< Where the last page ended; NULL while a task goes on from it. */
};

struct store_op {
    struct store_file *store;
    struct file_root *root;
    int root_fd; /**< Of `root`; what the worker uses. */
    struct work_task *ticket;
    enum rc (*run)(struct store_op *op, struct err *err);
    void (*answer)(struct store_op *op, const struct err *err);
    struct err err;
    enum rc rc;
    const char *key;
    void *arg;
    store_done_fn *done;
    struct file_progress progress;
    void (*on_progress)(uint64_t bytes, void *arg);
    atomic_bool posted; /**< A progress call is on its way to the loop. */
    bool finished;
    struct file_root *new_root; /**< The directory was replaced by another one. */
    union {
        struct {
            const char *after;
            unsigned max;
            store_list_fn *done;
            struct file_list *cursor;
            struct file_list_page page;
        } list;
        struct {
            store_head_fn *done;
            struct stat st;
        } head;
        struct {
            const char *etag;
            uint64_t offset;
            size_t len;
            char *buffer;
        } get;
        struct {
            const struct store_put *puts;
            unsigned count;
        } put;
        struct {
            const char *path;     /**< put_file */
            const char *from_key; /**< copy */
            struct file_root *from;
        } copy;
        struct {
            const char *const *keys;
            unsigned count;
            bool *open; /**< find_open */
        } keys;
    };
};

/** What is missing in a root that was itself removed is not a missing object. */
static enum rc check_root(const struct store_op *op, struct err *err)
{
    struct stat st;

    if (fstat(op->root_fd, &st) != 0 || st.st_nlink == 0) {
        return err_set(err, RC_IO, "store '%s': the directory was removed",
                       op->store->base.uri->path);
    }
    return RC_OK;
}

static enum rc fail(const struct store_op *op, int error_number, const char *what, const char *key,
                    struct err *err)
{
    if (error_number == ENOENT && check_root(op, err) != RC_OK) {
        return err->rc;
    }
    return file_path_error(err, error_number, what, key);
}

/** Open a key for reading; not a directory, a pipe or a device. */
static int open_object(const struct store_op *op, int root, const char *key, int flags,
                       struct stat *ret_st, struct err *err)
{
    int fd = -1;

    if (file_path_hidden(key)) {
        file_path_fail(err, RC_NOT_FOUND, key, "is hidden, so it is no object");
        return -1;
    }
    fd = file_path_open(root, key, flags);
    if (fd < 0) {
        fail(op, errno == ENOTDIR ? ENOENT : errno, "read", key, err);
        return -1;
    }
    if (fstat(fd, ret_st) != 0) {
        fail(op, errno, "read", key, err);
    } else if (S_ISDIR(ret_st->st_mode)) {
        file_path_fail(err, RC_INVALID, key, "is a directory, not an object");
    } else if (!S_ISREG(ret_st->st_mode)) {
        file_path_fail(err, RC_INVALID, key, "is not a regular file");
    } else {
        return fd;
    }
    close(fd);
    return -1;
}

/* ---- a task's way ---- */

static void answer(struct store_op *op)
{
    if (op->new_root != NULL) {
        file_root_unref(op->store->root);
        op->store->root = TAKE(op->new_root);
    }
    op->answer(op, op->rc == RC_OK ? NULL : &op->err);
    file_root_unref(op->root);
    free(op);
}

static void run_op(void *arg)
{
    struct store_op *op = arg;

    op->rc = op->run(op, &op->err);
}

static void on_op_done(void *arg, bool canceled)
{
    struct store_op *op = arg;

    if (canceled) {
        op->rc = err_set(&op->err, RC_CANCELED, "asked to stop");
    }
    op->ticket = NULL;
    op->finished = true;
    if (!atomic_load(&op->posted)) {
        answer(op);
    }
}

/** On the loop. */
static void on_moved(void *arg)
{
    struct store_op *op = arg;

    atomic_store(&op->posted, false);
    op->on_progress(atomic_load(&op->progress.bytes), op->arg);
    if (op->finished) {
        answer(op);
    }
}

/** On the worker: at most one call is on its way at a time. */
static void post_moved(void *arg)
{
    struct store_op *op = arg;

    if (!atomic_exchange(&op->posted, true)) {
        loop_post(op->store->base.loop, on_moved, op);
    }
}

static void answer_done(struct store_op *op, const struct err *err)
{
    op->done(err, op->arg);
}

static struct store_op *op_new(struct store *base, const char *key,
                               enum rc (*run)(struct store_op *op, struct err *err),
                               store_done_fn *done, void *arg)
{
    struct store_file *store = (struct store_file *)base;
    struct store_op *op = mem_new(struct store_op);

    op->store = store;
    op->root = file_root_ref(store->root);
    op->root_fd = store->root->fd;
    op->run = run;
    op->answer = answer_done;
    op->key = key;
    op->done = done;
    op->arg = arg;
    return op;
}

static struct store_op *submit(struct store_op *op)
{
    op->ticket = work_submit(op->store->work, WORK_FILE, run_op, on_op_done, op);
    return op;
}

static void want_progress(struct store_op *op, void (*progress)(uint64_t bytes, void *arg))
{
    op->on_progress = progress;
    if (progress != NULL) {
        op->progress.moved = post_moved;
        op->progress.arg = op;
    }
}

/* ---- the root ---- */

/** The root may have been replaced (a restore, a mount): a new listing looks, and every write. */
static enum rc renew_root(struct store_op *op, struct err *err)
{
    const char *path = op->store->base.uri->path;
    struct stat now, had;

    if (stat(path, &now) != 0) {
        return err_set(err, RC_IO, "store '%s': %s", path, strerror(errno));
    }
    if (fstat(op->root_fd, &had) == 0 && had.st_dev == now.st_dev && had.st_ino == now.st_ino) {
        return RC_OK;
    }
    op->new_root = file_root_open(path);
    if (op->new_root == NULL) {
        return err_set(err, RC_IO, "store '%s': %s", path, strerror(errno));
    }
    op->root_fd = op->new_root->fd;
    return RC_OK;
}

/* ---- list ---- */

static enum rc run_list(struct store_op *op, struct err *err)
{
    if (op->list.after[0] == '\0' && renew_root(op, err) != RC_OK) {
        return err->rc;
    }
    if (check_root(op, err) != RC_OK) {
        return err->rc;
    }
    return file_list_page(op->list.cursor, op->root_fd, op->key, op->list.after, op->list.max,
                          &op->list.page, err);
}

static void answer_list(struct store_op *op, const struct err *err)
{
    struct file_list_page *page = &op->list.page;
    struct store_file *store = op->store;

    if (err == NULL && page->more) {
        file_list_free(store->list);
        store->list = TAKE(op->list.cursor);
    }
    file_list_free(op->list.cursor);
    if (err != NULL) {
        op->list.done(NULL, 0, false, err, op->arg);
    } else {
        op->list.done(page->objects, page->count, page->more, page->partial ? &page->problem : NULL,
                      op->arg);
    }
    file_list_page_done(page);
}

static void list(struct store *base, const char *prefix, const char *after, unsigned max,
                 store_list_fn *done, void *arg)
{
    struct store_file *store = (struct store_file *)base;
    struct store_op *op = op_new(base, prefix, run_list, NULL, arg);

    op->answer = answer_list;
    op->list.after = after;
    op->list.max = max;
    op->list.done = done;
    op->list.cursor = store->list != NULL && file_list_goes_on(store->list, prefix, after)
                          ? TAKE(store->list)
                          : file_list_new();
    submit(op);
}

/* ---- head, get ---- */

static enum rc run_head(struct store_op *op, struct err *err)
{
    int fd = open_object(op, op->root_fd, op->key, O_PATH, &op->head.st, err);

    if (fd < 0) {
        return err->rc;
    }
    close(fd);
    return RC_OK;
}

static void answer_head(struct store_op *op, const struct err *err)
{
    char etag[FILE_ETAG];

    if (err != NULL) {
        op->head.done(NULL, err, op->arg);
        return;
    }
    file_path_etag(&op->head.st, etag);
    op->head.done(&(struct store_object){.key = op->key,
                                         .size = (uint64_t)op->head.st.st_size,
                                         .etag = etag,
                                         .version = "",
                                         .modified_ms = file_path_mtime_ms(&op->head.st)},
                  NULL, op->arg);
}

static void head(struct store *base, const char *key, store_head_fn *done, void *arg)
{
    struct store_op *op = op_new(base, key, run_head, NULL, arg);

    op->answer = answer_head;
    op->head.done = done;
    submit(op);
}

static enum rc check_etag(const struct store_op *op, const struct stat *st, struct err *err)
{
    char etag[FILE_ETAG];

    file_path_etag(st, etag);
    if (op->get.etag != NULL && strcmp(op->get.etag, etag) != 0) {
        return file_path_fail(err, RC_CHANGED, op->key, "is another version by now");
    }
    return RC_OK;
}

static enum rc read_range(struct store_op *op, int fd, struct err *err)
{
    size_t done = 0;

    while (done < op->get.len) {
        size_t want = MIN_OF(op->get.len - done, (size_t)READ_CHUNK);
        ssize_t n = pread(fd, op->get.buffer + done, want, (off_t)(op->get.offset + done));

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return file_path_error(err, errno, "read", op->key);
        }
        if (n == 0) {
            return file_path_fail(err, RC_CORRUPT, op->key, "ends before the bytes asked for");
        }
        done += (size_t)n;
        if (done < op->get.len && atomic_load(&op->progress.canceled)) {
            return file_path_fail(err, RC_CANCELED, op->key, "was not read, asked to stop");
        }
    }
    return RC_OK;
}

static enum rc get_from(struct store_op *op, int fd, const struct stat *before, struct err *err)
{
    uint64_t end;
    struct stat after;

    if (check_etag(op, before, err) != RC_OK) {
        return err->rc;
    }
    if (__builtin_add_overflow(op->get.offset, op->get.len, &end) ||
        end > (uint64_t)before->st_size) {
        char shown[URI_SHOWN];

        return err_set(err, RC_CORRUPT, "'%s' ends at %llu, before byte %llu + %zu",
                       uri_show(op->key, shown), (unsigned long long)before->st_size,
                       (unsigned long long)op->get.offset, op->get.len);
    }
    enum rc rc = read_range(op, fd, err);

    /* A change explains a short read better than damage does. */
    if (rc == RC_CANCELED) {
        return rc;
    }
    if (fstat(fd, &after) != 0) {
        return file_path_error(err, errno, "read", op->key);
    }
    return check_etag(op, &after, err) != RC_OK ? err->rc : rc;
}

static enum rc run_get(struct store_op *op, struct err *err)
{
    struct stat before;
    int fd = open_object(op, op->root_fd, op->key, READ_FLAGS, &before, err);

    if (fd < 0) {
        return err->rc;
    }
    enum rc rc = get_from(op, fd, &before, err);

    close(fd);
    return rc;
}

static struct store_op *get(struct store *base, const char *key, const char *version,
                            const char *etag, uint64_t offset, size_t len, void *buffer,
                            store_done_fn *done, void *arg)
{
    struct store_op *op = op_new(base, key, run_get, done, arg);

    (void)version;
    op->get.etag = etag;
    op->get.offset = offset;
    op->get.len = len;
    op->get.buffer = buffer;
    return submit(op);
}

/* ---- put, copy ---- */

/** A write that is refused whatever its key says nothing about the key: the same write will do when
 * the store is mended. */
static enum rc refused(enum rc rc, struct err *err)
{
    if (rc == RC_DENIED) {
        err->rc = rc = RC_HOST;
    }
    return rc;
}

static enum rc begin_writing(struct store_op *op, struct err *err)
{
    return renew_root(op, err) != RC_OK ? err->rc = RC_HOST : RC_OK;
}

/** `put` is one that was opened before, or not: then its root is -1. */
static enum rc open_put(struct store_op *op, struct file_put *put, const char *key, struct err *err)
{
    enum rc rc;

    if (file_path_hidden(key)) {
        return file_path_fail(err, RC_INVALID, key,
                              "has a part that begins with '.', which a file store hides");
    }
    rc = put->root >= 0 ? file_put_next(put, key, err) : file_put_open(put, op->root_fd, key, err);
    return rc == RC_OK ? rc : check_root(op, err) != RC_OK ? err->rc : rc;
}

static enum rc put_one(struct store_op *op, const struct store_put *what, struct file_put *put,
                       struct err *err)
{
    if (open_put(op, put, what->key, err) != RC_OK) {
        return err->rc;
    }
    put->if_match = what->if_match;
    if (file_put_write(put, what->bytes, what->len, err) != RC_OK ||
        file_put_commit(put, err) != RC_OK) {
        return err->rc;
    }
    if (what->ret_etag != NULL) {
        file_put_etag(put, what->ret_etag);
    }
    return RC_OK;
}

static enum rc run_put(struct store_op *op, struct err *err)
{
    struct file_put put = FILE_PUT_NONE;
    enum rc rc = begin_writing(op, err);

    for (unsigned i = 0; rc == RC_OK && i < op->put.count; i++) {
        rc = refused(put_one(op, &op->put.puts[i], &put, err), err);
    }
    file_put_done(&put);
    return rc;
}

static void put(struct store *base, const struct store_put *puts, unsigned count,
                store_done_fn *done, void *arg)
{
    struct store_op *op = op_new(base, NULL, run_put, done, arg);

    op->put.puts = puts;
    op->put.count = count;
    submit(op);
}

/** The bytes of `from`, whose descriptor is taken over, as the object op->key. */
static enum rc put_copy(struct store_op *op, int from, const char *from_name, struct err *err)
{
    struct file_put put = FILE_PUT_NONE;
    enum rc rc = begin_writing(op, err);

    if (rc == RC_OK) {
        rc = refused(open_put(op, &put, op->key, err), err);
    }
    if (rc == RC_OK) {
        rc = file_put_copy(&put, from, from_name, &op->progress, err);
    }
    if (rc == RC_OK) {
        rc = file_put_commit(&put, err);
    }
    file_put_done(&put);
    close(from);
    return rc;
}

static enum rc run_put_file(struct store_op *op, struct err *err)
{
    int from = open(op->copy.path, READ_FLAGS | O_CLOEXEC);
    struct stat st;

    if (from < 0) {
        return file_path_error(err, errno, "read", op->copy.path);
    }
    if (fstat(from, &st) != 0 || !S_ISREG(st.st_mode)) {
        close(from);
        return file_path_fail(err, RC_INVALID, op->copy.path, "is not a regular file");
    }
    return put_copy(op, from, op->copy.path, err);
}

static void put_file(struct store *base, const char *key, const char *path, store_done_fn *done,
                     void (*progress)(uint64_t bytes, void *arg), void *arg)
{
    struct store_op *op = op_new(base, key, run_put_file, done, arg);

    op->copy.path = path;
    want_progress(op, progress);
    submit(op);
}

static enum rc run_copy(struct store_op *op, struct err *err)
{
    struct stat st;
    int from = open_object(op, op->copy.from->fd, op->copy.from_key, READ_FLAGS, &st, err);

    return from < 0 ? err->rc : put_copy(op, from, op->copy.from_key, err);
}

static void answer_copy(struct store_op *op, const struct err *err)
{
    file_root_unref(op->copy.from);
    op->done(err, op->arg);
}

static void copy(struct store *base, const char *from_key, struct store *to, const char *to_key,
                 store_done_fn *done, void (*progress)(uint64_t bytes, void *arg), void *arg)
{
    struct store_op *op = op_new(to, to_key, run_copy, done, arg);

    op->answer = answer_copy;
    op->copy.from_key = from_key;
    op->copy.from = file_root_ref(((struct store_file *)base)->root);
    want_progress(op, progress);
    submit(op);
}

/* ---- remove, sync ---- */

/** Whether both keys lie in one directory. */
static bool siblings(const char *a, const char *b)
{
    const char *end = strrchr(a, '/'), *other = strrchr(b, '/');
    size_t len = end != NULL ? (size_t)(end - a) + 1 : 0;

    return len == (other != NULL ? (size_t)(other - b) + 1 : 0) && strncmp(a, b, len) == 0;
}

static enum rc remove_one(struct store_op *op, const char *key, struct err *err)
{
    const char *name;
    int dir, failed = 0;

    if (file_path_hidden(key)) {
        return RC_OK;
    }
    dir = file_path_parent(op->root_fd, key, false, &name);
    if (dir < 0 || unlinkat(dir, name, 0) != 0) {
        failed = errno;
    }
    if (dir >= 0) {
        close(dir);
    }
    /* A directory of that name is not an object: there was nothing to remove. */
    if (failed == 0 || failed == ENOENT || failed == ENOTDIR || failed == EISDIR) {
        return check_root(op, err);
    }
    return file_path_error(err, failed, "remove", key);
}

static enum rc run_remove(struct store_op *op, struct err *err)
{
    const char *const *keys = op->keys.keys;

    if (begin_writing(op, err) != RC_OK) {
        return err->rc;
    }
    for (unsigned i = 0; i < op->keys.count; i++) {
        if (remove_one(op, keys[i], err) != RC_OK) {
            return refused(err->rc, err);
        }
        if (i + 1 == op->keys.count || !siblings(keys[i], keys[i + 1])) {
            file_path_prune(op->root_fd, keys[i]);
        }
    }
    return RC_OK;
}

static void remove_keys(struct store *base, const char *const *keys, unsigned count,
                        store_done_fn *done, void *arg)
{
    struct store_op *op = op_new(base, NULL, run_remove, done, arg);

    op->keys.keys = keys;
    op->keys.count = count;
    submit(op);
}

/** A read lease is refused exactly while somebody has the file open for writing. Whoever opens it
 * in the moment we have one waits for that moment; the signal that tells us of it is one that is
 * ignored by default (SIGIO would end the process). */
static bool is_open(const struct store_op *op, const char *key)
{
    struct err unused;
    struct stat st;
    int fd = open_object(op, op->root_fd, key, READ_FLAGS, &st, &unused);
    bool open = false;

    if (fd < 0) {
        return false;
    }
    if (fcntl(fd, F_SETSIG, SIGURG) == 0) {
        open = fcntl(fd, F_SETLEASE, F_RDLCK) != 0 && (errno == EAGAIN || errno == EBUSY);
        if (!open) {
            fcntl(fd, F_SETLEASE, F_UNLCK);
        }
    }
    close(fd);
    return open;
}

static enum rc run_find_open(struct store_op *op, struct err *err)
{
    for (unsigned i = 0; i < op->keys.count; i++) {
        op->keys.open[i] = is_open(op, op->keys.keys[i]);
    }
    return RC_OK;
}

static void find_open(struct store *base, const char *const *keys, unsigned count, bool *ret_open,
                      store_done_fn *done, void *arg)
{
    struct store_op *op = op_new(base, NULL, run_find_open, done, arg);

    op->keys.keys = keys;
    op->keys.count = count;
    op->keys.open = ret_open;
    submit(op);
}

static void sync_all(struct store *base, store_done_fn *done, void *arg)
{
    struct store_file *store = (struct store_file *)base;

    file_sync_ask(store->sync, store->root, done, arg);
}

static void cancel(struct store_op *op)
{
    atomic_store(&op->progress.canceled, true);
    if (op->ticket != NULL) {
        work_cancel(op->ticket);
    }
}

static const char *place(const struct store *base)
{
    return ((const struct store_file *)base)->root->place;
}

static void file_free(struct store *base)
{
    struct store_file *store = (struct store_file *)base;

    file_sync_free(store->sync);
    file_list_free(store->list);
    file_root_unref(store->root);
    uri_free(store->base.uri);
    free(store);
}

enum rc store_file_new(struct loop *loop, struct work *work, struct uri *uri,
                       const struct store_options *options, struct store **ret_store,
                       struct err *err)
{
    static const struct store_ops ops = {
        .list = list,
        .head = head,
        .get = get,
        .put = put,
        .put_file = put_file,
        .copy = copy,
        .remove = remove_keys,
        .sync = sync_all,
        .find_open = find_open,
        .cancel = cancel,
        .place = place,
        .free = file_free,
    };
    scoped(uri_free) struct uri *owned = uri;
    struct file_root *root;
    struct store_file *store;

    if (options->create && fs_mkdirs(uri->path, 0777, err) != RC_OK) {
        return err_wrap(err, "store '%.200s'", uri->path);
    }
    root = file_root_open(uri->path);
    if (root == NULL && errno == ENOTDIR) {
        return err_set(err, RC_INVALID, "store '%.200s' is not a directory", uri->path);
    }
    if (root == NULL) {
        return err_errno(err, errno, "store '%.200s'", uri->path);
    }
    store = mem_new(struct store_file);
    *store = (struct store_file){
        .base = {.ops = &ops, .loop = loop, .uri = TAKE(owned)},
        .work = work,
        .root = root,
    };
    store->sync = file_sync_new(loop, work, options->gather, store->base.uri->path);
    *ret_store = &store->base;
    return RC_OK;
}
