/** @file
 * Watching a file store.
 */
#include "daemon/source/file_watch.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <uthash.h>

#include "daemon/services.h"
#include "daemon/source/watch_walk.h"
#include "lib/base/fs.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/now.h"
#include "lib/base/str.h"

/** A file that we put ourselves appears by a link: IN_CREATE is all that is told of it. */
#define NAMES_MASK (IN_CREATE | IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE)
#define SELF_MASK (IN_DELETE_SELF | IN_MOVE_SELF)
#define READ_BYTES (64u << 10)
#define READS_A_TURN 4 /**< The loop has others to serve. */
#define TICK_MS 100
#define ADDS_A_TURN 512
#define QUEUE_MAX 256 /**< New directories waiting for their walk. */
#define FILES_MAX 256 /**< Of a new directory that are looked at one by one. */

struct watched {
    int wd;
    char *path; /**< Key of the directory, "" for the root. */
    UT_hash_handle by_wd, by_path;
};

/** libuv's handle outlives the watch until it has closed. */
struct poll_handle {
    uv_poll_t uv;
    struct file_watch *watch;
};

struct file_watch {
    struct services *services;
    struct file_watch_calls calls;
    int fd; /**< -1 while not watching. */
    struct poll_handle *poll;
    struct watched *by_wd, *by_path;

    /* the walk under way, and those to come */
    enum { REST, WALK, ADD, FILES } step;
    struct watch_walk walk;
    size_t add_at; /**< In walk.found. */
    unsigned added;
    char *queue[QUEUE_MAX];
    unsigned queue_count;
    bool first; /**< The walk is that of the whole tree. */
    bool stopped;
    void (*rested)(void *arg);
    void *rested_arg;

    int64_t tick_ms; /**< When the current burst began. */
    unsigned burst;
    uint64_t overflows;
    bool told_limit;
    struct err error;
    int64_t error_ms;
};

static void watch_run(struct file_watch *watch);

struct file_watch *file_watch_new(struct services *services, const struct file_watch_calls *calls)
{
    struct file_watch *watch = NULL;

    if (services->raw->uri->scheme == URI_FILE) {
        watch = mem_new(struct file_watch);
        watch->services = services;
        watch->calls = *calls;
        watch->fd = -1;
    }
    return watch;
}

/* ---- the set of watched directories ---- */

static void forget(struct file_watch *watch, struct watched *dir)
{
    HASH_DELETE(by_wd, watch->by_wd, dir);
    HASH_DELETE(by_path, watch->by_path, dir);
    free(dir->path);
    free(dir);
}

static void on_poll_closed(uv_handle_t *handle)
{
    free(handle->data);
}

/** Forget everything; the kernel does, with the descriptor. */
static void shut(struct file_watch *watch)
{
    struct watched *dir, *next;

    HASH_ITER(by_wd, watch->by_wd, dir, next)
    {
        forget(watch, dir);
    }
    while (watch->queue_count > 0) {
        free(watch->queue[--watch->queue_count]);
    }
    if (watch->poll != NULL) {
        uv_poll_stop(&watch->poll->uv);
        uv_close((uv_handle_t *)&watch->poll->uv, on_poll_closed);
        watch->poll = NULL;
    }
    if (watch->fd >= 0) {
        close(watch->fd);
        watch->fd = -1;
    }
}

void file_watch_free(struct file_watch *watch)
{
    if (watch != NULL) {
        shut(watch);
        watch_walk_done(&watch->walk);
        free(watch);
    }
}

static void note_error(struct file_watch *watch, int error_number, const char *what,
                       const char *hint)
{
    if (watch->error.rc == RC_OK) {
        watch->error_ms = now_wall_ms();
    }
    err_errno(&watch->error, error_number, "watching: %s", what);
    if (!watch->told_limit) {
        log_warn(LOG_SOURCE, "%s%s; listing covers what is not watched", watch->error.text, hint);
    }
    watch->told_limit = true;
}

static void lost(struct file_watch *watch)
{
    watch->overflows++;
    watch->calls.lost(watch->calls.arg);
}

/** Forget `path` and all below it. */
static void unwatch(struct file_watch *watch, const char *path)
{
    size_t len = strlen(path);
    struct watched *dir, *next;

    HASH_ITER(by_wd, watch->by_wd, dir, next)
    {
        if (strncmp(dir->path, path, len) == 0 &&
            (len == 0 || dir->path[len] == '\0' || dir->path[len] == '/')) {
            inotify_rm_watch(watch->fd, dir->wd);
            forget(watch, dir);
        }
    }
}

/** Watch a directory that is not watched yet; false when the kernel will not watch any more. */
static bool add_watch(struct file_watch *watch, const char *path)
{
    const char *root = watch->services->raw->uri->path;
    scoped(free) char *full = path[0] != '\0' ? fs_join(root, path) : str_dup(root);
    uint32_t mask =
        NAMES_MASK | IN_ONLYDIR | IN_EXCL_UNLINK | (path[0] != '\0' ? IN_DONT_FOLLOW : SELF_MASK);
    struct watched *dir;

    HASH_FIND(by_path, watch->by_path, path, strlen(path), dir);
    int wd = inotify_add_watch(watch->fd, full, mask);

    if (wd < 0 && (errno == ENOSPC || errno == ENOMEM)) {
        note_error(watch, errno, "too many directories", ", raise fs.inotify.max_user_watches");
        return false;
    }
    if (wd < 0) {
        if (errno != ENOENT && errno != ENOTDIR) {
            note_error(watch, errno, path[0] != '\0' ? path : root, "");
        }
        return true;
    }
    if (dir != NULL && dir->wd == wd) {
        return true;
    }
    if (dir != NULL) { /* another directory took its name */
        inotify_rm_watch(watch->fd, dir->wd);
        forget(watch, dir);
    }
    HASH_FIND(by_wd, watch->by_wd, &wd, sizeof(wd), dir);
    if (dir != NULL) { /* the same directory, by another name now */
        forget(watch, dir);
    }
    dir = mem_new(struct watched);
    dir->wd = wd;
    dir->path = str_dup(path);
    HASH_ADD(by_wd, watch->by_wd, wd, sizeof(dir->wd), dir);
    HASH_ADD_KEYPTR(by_path, watch->by_path, dir->path, strlen(dir->path), dir);
    watch->added++;
    return true;
}

/* ---- what the kernel tells ---- */

static void enqueue(struct file_watch *watch, const char *path)
{
    for (unsigned i = 0; i < watch->queue_count; i++) {
        if (strcmp(watch->queue[i], path) == 0) {
            return;
        }
    }
    if (watch->queue_count == QUEUE_MAX) {
        /* The root's walk finds them all; it takes the place of those that wait. */
        while (watch->queue_count > 0) {
            free(watch->queue[--watch->queue_count]);
        }
        path = "";
        lost(watch);
    }
    watch->queue[watch->queue_count++] = str_dup(path);
}

static void changed(struct file_watch *watch, const char *key)
{
    int64_t now_ms = now_mono_ms();

    if (now_ms - watch->tick_ms >= TICK_MS) {
        watch->tick_ms = now_ms;
        watch->burst = 0;
    }
    watch->burst++;
    if (watch->burst <= FILE_WATCH_BURST) {
        watch->calls.changed(key, watch->calls.arg);
    } else if (watch->burst == FILE_WATCH_BURST + 1) {
        lost(watch);
    }
}

static void on_root_lost(struct file_watch *watch)
{
    note_error(watch, ENOENT, watch->services->raw->uri->path, "");
    shut(watch);
    lost(watch);
}

static void on_name(struct file_watch *watch, const struct watched *dir,
                    const struct inotify_event *event)
{
    scoped(free) char *key =
        dir->path[0] != '\0' ? fs_join(dir->path, event->name) : str_dup(event->name);

    if (event->name[0] == '.') {
        return;
    }
    if ((event->mask & IN_ISDIR) == 0) {
        changed(watch, key);
        return;
    }
    if (event->mask & (IN_MOVED_FROM | IN_DELETE)) {
        unwatch(watch, key); /* a moved one would go on telling under its old name */
    }
    if (event->mask & IN_MOVED_FROM) {
        lost(watch); /* what was in it is gone, name by name */
    }
    if (event->mask & (IN_CREATE | IN_MOVED_TO)) {
        enqueue(watch, key);
    }
}

/** False when the descriptor is closed by now. */
static bool on_event(struct file_watch *watch, const struct inotify_event *event)
{
    struct watched *dir;

    if (event->mask & IN_Q_OVERFLOW) {
        enqueue(watch, ""); /* directories may be among what was lost */
        lost(watch);
        return true;
    }
    HASH_FIND(by_wd, watch->by_wd, &event->wd, sizeof(event->wd), dir);
    if (dir == NULL) {
        return true; /* told before we stopped to watch it */
    }
    if ((event->mask & (IN_UNMOUNT | SELF_MASK)) ||
        (dir->path[0] == '\0' && (event->mask & IN_IGNORED))) {
        on_root_lost(watch);
        return false;
    }
    if (event->mask & IN_IGNORED) {
        forget(watch, dir);
    } else if (event->len > 0) {
        on_name(watch, dir, event);
    }
    return true;
}

static void on_readable(uv_poll_t *uv, int status, int events)
{
    struct file_watch *watch = ((struct poll_handle *)uv->data)->watch;
    _Alignas(struct inotify_event) char buffer[READ_BYTES];

    (void)status, (void)events;
    for (unsigned i = 0; i < READS_A_TURN && watch->fd >= 0; i++) {
        ssize_t n = read(watch->fd, buffer, sizeof(buffer));

        if (n <= 0) {
            break;
        }
        for (ssize_t at = 0; at < n;) {
            const struct inotify_event *event = (const void *)(buffer + at);

            if (!on_event(watch, event)) {
                break;
            }
            at += (ssize_t)(sizeof(*event) + event->len);
        }
    }
    if (watch->step == REST) {
        watch_run(watch);
    }
}

/* ---- walks ---- */

static void run_walk(void *arg)
{
    watch_walk_run(&((struct file_watch *)arg)->walk);
}

static void on_walked(void *arg, bool canceled)
{
    struct file_watch *watch = arg;

    (void)canceled;
    watch->step = ADD;
    watch->add_at = 0;
    watch->added = 0;
    if (watch->walk.error_number != 0 && !watch->stopped) {
        note_error(watch, watch->walk.error_number, "a directory cannot be read", "");
    }
    watch_run(watch);
}

/** Watch what the walk found, a slice at a time. True when all is done. */
static bool add_slice(struct file_watch *watch)
{
    const struct strbuf *found = &watch->walk.found;

    for (unsigned i = 0; i < ADDS_A_TURN && watch->add_at < found->len; i++) {
        const char *path = found->data + watch->add_at;

        watch->add_at += strlen(path) + 1;
        if (!add_watch(watch, path)) {
            watch->added = 0; /* walking again would not help */
            watch->add_at = found->len;
        }
    }
    return watch->add_at >= found->len;
}

static void on_files(const struct store_object *objects, unsigned count, bool more,
                     const struct err *err, void *arg)
{
    struct file_watch *watch = arg;

    if (!watch->stopped && watch->fd >= 0) {
        for (unsigned i = 0; i < count && objects != NULL; i++) {
            watch->calls.changed(objects[i].key, watch->calls.arg);
        }
        if (more || err != NULL) {
            lost(watch);
        }
    }
    watch->step = REST;
    watch_run(watch);
}

static void begin_walk(struct file_watch *watch, char *top)
{
    free(watch->walk.top);
    watch->walk.top = top;
    watch->walk.root = watch->services->raw->uri->path;
    watch->step = WALK;
    work_submit(watch->services->work, WORK_FILE, run_walk, on_walked, watch);
}

static void on_turn(void *arg)
{
    watch_run(arg);
}

/** All directories below walk.top are watched: what is in them by now was not told. */
static void finish_walk(struct file_watch *watch)
{
    if (watch->walk.top[0] == '\0') {
        if (watch->walk.cut) {
            note_error(watch, ENOSPC, "too many directories", "");
        }
        watch->step = REST;
        watch->told_limit &= watch->error.rc != RC_OK;
        if (watch->first) {
            watch->first = false;
            watch->calls.ready(watch->calls.arg);
        } else {
            watch->calls.lost(watch->calls.arg);
        }
        watch_run(watch);
        return;
    }
    /* From here on walk.top is the prefix that the listing borrows. */
    char *prefix = str_printf("%s/", watch->walk.top);

    free(watch->walk.top);
    watch->walk.top = prefix;
    watch->step = FILES;
    store_list(watch->services->raw, prefix, "", FILES_MAX, on_files, watch);
}

static void rest(struct file_watch *watch)
{
    watch->step = REST;
    if (watch->stopped && watch->rested != NULL) {
        watch->rested(watch->rested_arg);
    }
}

static void watch_run(struct file_watch *watch)
{
    if (watch->stopped && watch->step != WALK && watch->step != FILES) {
        rest(watch);
        return;
    }
    if (watch->fd < 0 && watch->step == ADD) {
        watch->step = REST; /* the root was lost meanwhile */
    }
    switch (watch->step) {
    case REST:
        if (watch->queue_count > 0 && watch->fd >= 0) {
            char *top = watch->queue[0];

            watch->queue_count--;
            memmove(watch->queue, watch->queue + 1, watch->queue_count * sizeof(watch->queue[0]));
            begin_walk(watch, top);
        }
        return;

    case WALK: /* on_walked() goes on */
        return;

    case ADD:
        if (!add_slice(watch)) {
            loop_defer(watch->services->loop, on_turn, watch);
        } else if (watch->added > 0) {
            begin_walk(watch, TAKE(watch->walk.top));
        } else {
            finish_walk(watch);
        }
        return;

    case FILES: /* on_files() goes on */
        return;
    }
}

void file_watch_start(struct file_watch *watch)
{
    if (watch->fd >= 0 || watch->step != REST || watch->stopped) {
        return;
    }
    watch->error.rc = RC_OK;
    watch->first = true;
    watch->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (watch->fd < 0) {
        note_error(watch, errno, "no inotify", ", raise fs.inotify.max_user_instances");
        watch->calls.ready(watch->calls.arg);
        return;
    }
    watch->poll = mem_new(struct poll_handle);
    watch->poll->watch = watch;
    watch->poll->uv.data = watch->poll;
    if (uv_poll_init(loop_uv(watch->services->loop), &watch->poll->uv, watch->fd) != 0) {
        abort(); /* a fresh inotify descriptor can be polled */
    }
    uv_poll_start(&watch->poll->uv, UV_READABLE, on_readable);
    begin_walk(watch, str_dup(""));
}

void file_watch_stop(struct file_watch *watch, void (*rested)(void *arg), void *arg)
{
    watch->stopped = true;
    watch->rested = rested;
    watch->rested_arg = arg;
    shut(watch);
}

bool file_watch_busy(const struct file_watch *watch)
{
    return watch->step != REST;
}

bool file_watch_pending(const struct file_watch *watch)
{
    int unread = 0;

    return watch->step != REST || watch->queue_count > 0 ||
           (watch->fd >= 0 && ioctl(watch->fd, FIONREAD, &unread) == 0 && unread > 0);
}

void file_watch_status(const struct file_watch *watch, struct source_status *ret_status)
{
    ret_status->watching = watch->fd >= 0;
    ret_status->watches = HASH_CNT(by_wd, watch->by_wd);
    ret_status->overflows = watch->overflows;
    if (watch->error.rc != RC_OK && ret_status->error[0] == '\0') {
        ret_status->error = watch->error.text;
        ret_status->error_ms = watch->error_ms;
    }
}
