#include "lib/store/file_sync.h"

#include <assert.h>
#include <errno.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/store/file_path.h"

struct asker {
    struct asker *next;
    struct file_root *root;
    store_done_fn *done;
    void *arg;
};

struct file_sync {
    struct loop *loop;
    struct work *work;
    const char *name;
    struct asker *first, **last; /**< Who waits for the next one. */
    bool due;                    /**< A deferred start() is on its way. */
    struct gather_point *point;  /**< Who says when to start; NULL: at once. */
    /* of the one that runs */
    struct asker *served;
    int fd;
    struct err err; /**< The worker's meanwhile. */
};

static void start(void *arg);

struct file_sync *file_sync_new(struct loop *loop, struct work *work, struct gather *gather,
                                const char *name)
{
    struct file_sync *sync = mem_new(struct file_sync);

    *sync = (struct file_sync){.loop = loop, .work = work, .name = name};
    sync->last = &sync->first;
    sync->point = gather != NULL ? gather_point_new(gather, start, sync) : NULL;
    return sync;
}

void file_sync_free(struct file_sync *sync)
{
    if (sync != NULL) {
        assert(sync->first == NULL && sync->served == NULL && !sync->due);
        gather_point_free(sync->point);
        free(sync);
    }
}

static void run_sync(void *arg)
{
    struct file_sync *sync = arg;

    if (syncfs(sync->fd) != 0) {
        file_path_error(&sync->err, errno, "sync", sync->name);
    }
}

static void start_later(struct file_sync *sync);

static void on_synced(void *arg, bool canceled)
{
    struct file_sync *sync = arg;
    struct asker *served = TAKE(sync->served);
    const struct err err = sync->err;

    (void)canceled;
    if (sync->point != NULL) {
        gather_again(sync->point);
    } else if (sync->first != NULL) {
        start_later(sync);
    }
    while (served != NULL) {
        struct asker *asker = served;

        served = asker->next;
        asker->done(err.rc == RC_OK ? NULL : &err, asker->arg);
        file_root_unref(asker->root);
        free(asker);
    }
}

/** Those in front who ask for one and the same root: nearly always all. */
static struct asker *take_askers(struct file_sync *sync)
{
    struct asker *first = sync->first, **end = &sync->first;
    unsigned count = 0;

    for (; *end != NULL && (*end)->root == first->root; count++) {
        end = &(*end)->next;
    }
    sync->first = *end;
    *end = NULL;
    if (sync->first == NULL) {
        sync->last = &sync->first;
    }
    if (sync->point != NULL) {
        gather_took(sync->point, count);
    }
    return first;
}

static void start(void *arg)
{
    struct file_sync *sync = arg;

    sync->due = false;
    if (sync->served == NULL) {
        sync->served = take_askers(sync);
        sync->fd = sync->served->root->fd;
        sync->err.rc = RC_OK;
        work_submit(sync->work, WORK_FILE, run_sync, on_synced, sync);
    }
}

static void start_later(struct file_sync *sync)
{
    if (!sync->due) { /* deferred, so that those who ask in one go are served by one */
        sync->due = true;
        loop_defer(sync->loop, start, sync);
    }
}

void file_sync_ask(struct file_sync *sync, struct file_root *root, store_done_fn *done, void *arg)
{
    struct asker *asker = mem_new(struct asker);

    *asker = (struct asker){.root = file_root_ref(root), .done = done, .arg = arg};
    *sync->last = asker;
    sync->last = &asker->next;
    if (sync->point != NULL) {
        gather_want(sync->point);
    } else if (sync->served == NULL) {
        start_later(sync);
    }
}
