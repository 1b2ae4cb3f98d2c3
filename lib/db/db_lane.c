#include "lib/db/db_lane.h"

#include <assert.h>
#include <inttypes.h>

#include "lib/base/mem.h"
#include "lib/base/now.h"
#include "lib/base/str.h"
#include "lib/db/db_p.h"

enum { GROUP_MAX = 4096 }; /* Bounds how long the first of a group waits for its commit. */

/** One thing submitted. */
struct item {
    struct item *next;
    db_lane_fn *fn;
    db_lane_done_fn *done;
    void *arg;
    struct err err; /**< The worker's while it runs; RC_OK when it went well. */
};

/** What one task of the worker runs: a group of writes, or one read on its own connection. */
struct task {
    struct db_lane *lane;
    struct db *db; /**< A reader's is opened by its first task. */
    struct item *items;
    bool busy;
    bool committed; /**< The worker's. */
    int64_t deadline_us;
};

struct db_lane {
    struct loop *loop;
    struct work *work;
    enum work_lane work_lane;
    struct item *first, **last; /**< Not yet given to a task. */
    struct task *tasks;         /**< A writer has one. */
    unsigned task_count, pending;
    bool due;                   /**< A deferred start_due() is on its way. */
    struct gather_point *point; /**< Who says when to start; NULL: at once. */
    uint64_t commits;
    int64_t
        failed_ms; /**< When a write last failed for want of space or its group failed; 0: never. */
    /* readers only, constant: workers read them */
    char *path, *attach;
    int64_t limit_ms;
};

static struct db_lane *lane_new(struct loop *loop, struct work *work, enum work_lane lane_id,
                                unsigned task_count)
{
    struct db_lane *lane = mem_new(struct db_lane);

    lane->loop = loop;
    lane->work = work;
    lane->work_lane = lane_id;
    lane->last = &lane->first;
    lane->task_count = task_count;
    lane->tasks = mem_zeroed(task_count * sizeof(lane->tasks[0]));
    for (unsigned i = 0; i < task_count; i++) {
        lane->tasks[i].lane = lane;
    }
    return lane;
}

struct db_lane *db_lane_new_writer(struct loop *loop, struct work *work, enum work_lane lane_id,
                                   struct db *db)
{
    struct db_lane *lane = lane_new(loop, work, lane_id, 1);

    lane->tasks[0].db = db;
    return lane;
}

struct db_lane *db_lane_new_reader(struct loop *loop, struct work *work, const char *path,
                                   const char *attach, int64_t limit_ms)
{
    struct db_lane *lane = lane_new(loop, work, WORK_READ, work_width(work, WORK_READ));

    lane->path = str_dup(path);
    lane->attach = attach != NULL ? str_dup(attach) : NULL;
    lane->limit_ms = limit_ms;
    return lane;
}

void db_lane_free(struct db_lane *lane)
{
    if (lane == NULL) {
        return;
    }
    assert(lane->pending == 0 && !lane->due);
    gather_point_free(lane->point);
    for (unsigned i = 0; i < lane->task_count; i++) {
        db_close(lane->tasks[i].db);
    }
    free(lane->tasks);
    free(lane->path);
    free(lane->attach);
    free(lane);
}

/* On the worker: writing */

/** One write inside the group's transaction. False when the transaction itself is gone. */
static bool write_one(struct db *db, struct item *item)
{
    struct err ignored;
    enum rc rc;

    if (db_exec(db, "SAVEPOINT one", &item->err) != RC_OK) {
        return sqlite3_get_autocommit(db_handle(db)) == 0;
    }
    rc = item->fn(db, item->arg, &item->err);
    item->err.rc = rc;
    if (rc == RC_OK) {
        item->err.rc = db_exec(db, "RELEASE one", &item->err);
    } else if (sqlite3_get_autocommit(db_handle(db)) == 0) {
        db_exec(db, "ROLLBACK TO one; RELEASE one", &ignored);
    }
    return sqlite3_get_autocommit(db_handle(db)) == 0; /* A full disk, for one, undoes it all. */
}

/** Everything that had gone well, or not had its turn, fails for the group's reason. */
static void fail_group(struct item *items, const struct err *why)
{
    for (; items != NULL; items = items->next) {
        if (items->err.rc == RC_OK) {
            items->err = *why;
        }
    }
}

static enum rc write_group(struct task *task, struct err *err)
{
    if (db_exec(task->db, "BEGIN IMMEDIATE", err) != RC_OK) {
        return err_wrap(err, "begin");
    }
    for (struct item *item = task->items; item != NULL; item = item->next) {
        if (write_one(task->db, item)) {
            continue;
        }
        if (item->err.rc == RC_OK) {
            return err_set(err, RC_BUG, "a write ended the transaction of its group");
        }
        *err = item->err;
        return err->rc;
    }
    if (db_exec(task->db, "COMMIT", err) != RC_OK) {
        return err_wrap(err, "commit");
    }
    return RC_OK;
}

/* On the worker: reading */

static int is_overdue(void *arg)
{
    const struct task *task = arg;

    return now_mono_us() > task->deadline_us;
}

static enum rc ensure_open(struct task *task, struct err *err)
{
    const struct db_lane *lane = task->lane;
    scoped(db_close) struct db *db = NULL;

    if (task->db != NULL) {
        return RC_OK;
    }
    if (db_open(lane->path, DB_READ_ONLY, false, &db, err) != RC_OK ||
        (lane->attach != NULL && db_exec(db, lane->attach, err) != RC_OK)) {
        return err->rc;
    }
    sqlite3_progress_handler(db_handle(db), 1000, is_overdue, task);
    task->db = TAKE(db);
    return RC_OK;
}

static void read_one(struct task *task)
{
    struct item *item = task->items;

    task->deadline_us = INT64_MAX;
    if (ensure_open(task, &item->err) != RC_OK) {
        return;
    }
    task->deadline_us = now_mono_us() + task->lane->limit_ms * 1000;
    item->err.rc = db_exec(task->db, "BEGIN", &item->err);
    if (item->err.rc == RC_OK) {
        item->err.rc = item->fn(task->db, item->arg, &item->err);
    }
    if (item->err.rc == RC_TIMEOUT && is_overdue(task)) {
        err_set(&item->err, RC_TIMEOUT, "the query took longer than %" PRId64 " ms",
                task->lane->limit_ms);
    }
    task->deadline_us = INT64_MAX;
    db_settle(task->db); /* An open read would keep the log from being checkpointed. */
}

static void run_task(void *arg)
{
    struct task *task = arg;

    if (task->lane->path != NULL) {
        read_one(task);
    } else {
        struct err why;

        task->committed = write_group(task, &why) == RC_OK;
        db_settle(task->db);
        if (!task->committed) {
            fail_group(task->items, &why);
        }
    }
}

/* On the loop */

static void start_due(void *arg);

static void note_failure(struct db_lane *lane, const struct task *task, const struct item *items)
{
    bool full = false;

    for (; items != NULL; items = items->next) {
        full |= items->err.rc == RC_NO_SPACE;
    }
    if (!task->committed || full) {
        lane->failed_ms = now_mono_ms();
    }
}

static void on_task_done(void *arg, bool canceled)
{
    struct task *task = arg;
    struct db_lane *lane = task->lane;
    struct item *items = TAKE(task->items);

    assert(!canceled);
    if (lane->path == NULL) {
        note_failure(lane, task, items);
    }
    lane->commits += task->committed;
    task->committed = false;
    /* Busy until all are told: what they submit joins one group, and nothing overtakes. */
    while (items != NULL) {
        struct item *item = items;

        items = item->next;
        lane->pending--;
        item->done(item->err.rc == RC_OK ? NULL : &item->err, item->arg);
        free(item);
    }
    task->busy = false;
    if (lane->point != NULL) {
        gather_again(lane->point);
    } else if (lane->first != NULL && !lane->due) {
        lane->due = true;
        start_due(lane);
    }
}

/** The next of the queue, as many as one task may take. */
static struct item *take_items(struct db_lane *lane)
{
    unsigned most = lane->path != NULL ? 1 : GROUP_MAX;
    struct item *first = lane->first, **end = &lane->first;
    unsigned count = 0;

    for (; count < most && *end != NULL; count++) {
        end = &(*end)->next;
    }
    lane->first = *end;
    *end = NULL;
    if (lane->first == NULL) {
        lane->last = &lane->first;
    }
    if (lane->point != NULL) {
        gather_took(lane->point, count);
    }
    return first;
}

static void start_due(void *arg)
{
    struct db_lane *lane = arg;

    lane->due = false;
    for (unsigned i = 0; i < lane->task_count && lane->first != NULL; i++) {
        struct task *task = &lane->tasks[i];

        if (!task->busy) {
            task->busy = true;
            task->items = take_items(lane);
            work_submit(lane->work, lane->work_lane, run_task, on_task_done, task);
        }
    }
}

void db_lane_submit(struct db_lane *lane, db_lane_fn *fn, db_lane_done_fn *done, void *arg)
{
    struct item *item = mem_new(struct item);

    item->fn = fn;
    item->done = done;
    item->arg = arg;
    *lane->last = item;
    lane->last = &item->next;
    lane->pending++;
    if (lane->point != NULL) {
        gather_want(lane->point);
    } else if (!lane->due) { /* Deferred, so that what is submitted in one go is one group. */
        lane->due = true;
        loop_defer(lane->loop, start_due, lane);
    }
}

void db_lane_gather(struct db_lane *lane, struct gather *gather)
{
    assert(lane->path == NULL && lane->pending == 0);
    lane->point = gather_point_new(gather, start_due, lane);
}

uint64_t db_lane_commits(const struct db_lane *lane)
{
    return lane->commits;
}

int64_t db_lane_failed_ms(const struct db_lane *lane)
{
    return lane->failed_ms;
}

unsigned db_lane_pending(const struct db_lane *lane)
{
    return lane->pending;
}
