/** @file
 * Which job goes next.
 *
 * state.db is the queue. What is here is the head of each line, read by one query a line whenever
 * something new may stand in it, and the few jobs that something is being done with. A head may be
 * out of date; the compare-and-set of the move to STARTED finds out, and then the lines are read
 * again.
 */
#include "daemon/job/job_queue.h"

#include <assert.h>
#include <string.h>

#include "daemon/job/job_queue_p.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/now.h"

#define CRAWL_JOBS 4
#define PUBLISH_JOBS 4
#define TINY_JOBS 32      /**< Of each stage, beside the others. */
#define WAKE_MAX_MS 60000 /* Clocks are set; look now and then. */
#define LOOK_RETRY_MS 2000

static const enum job_state line_states[LINE_COUNT] = {
    [LINE_QUEUED] = JOB_QUEUED, [LINE_CRAWLED] = JOB_CRAWLED, [LINE_EXTRACTED] = JOB_EXTRACTED};

/** One look at state.db; the read lane's until it is done. */
struct look {
    struct job_queue *queue;
    unsigned limit;
    int64_t now_ms;
    struct line_rows {
        struct ready *rows;
        unsigned count;
    } lines[LINE_COUNT][2];
    struct ready due[QUEUE_WINDOW]; /**< Whose backoff is over. */
    bool due_big[QUEUE_WINDOW];
    unsigned due_count;
    int64_t next_due_ms; /**< 0: none. */
};

static void look(struct job_queue *queue);

bool queue_line_of(enum job_state state, enum queue_line *ret_line)
{
    for (unsigned line = 0; line < LINE_COUNT; line++) {
        if (line_states[line] == state) {
            *ret_line = line;
            return true;
        }
    }
    return false;
}

/* ---- entries and windows */

struct entry *queue_entry_new(struct job_queue *queue, uint64_t id)
{
    struct entry *entry = mem_new(struct entry);

    *entry = (struct entry){.queue = queue, .id = id, .next = queue->entries};
    queue->entries = entry;
    return entry;
}

struct entry *queue_entry_find(const struct job_queue *queue, uint64_t id)
{
    struct entry *entry = queue->entries;

    while (entry != NULL && entry->id != id) {
        entry = entry->next;
    }
    return entry;
}

static bool object_is_busy(const struct job_queue *queue, uint64_t object)
{
    for (const struct entry *entry = queue->entries; entry != NULL; entry = entry->next) {
        if (entry->object == object) {
            return true;
        }
    }
    return false;
}

/** Takes the job over, or frees it when its place is beyond what the window shows. */
static void window_insert(struct window *window, struct job *job, int64_t order_ms)
{
    unsigned at = window->count;

    while (at > 0 && window->items[at - 1].order_ms > order_ms) {
        at--;
    }
    if (at == QUEUE_WINDOW || (at == window->count && window->more)) {
        window->more = true;
        job_free(job);
        return;
    }
    if (window->count == QUEUE_WINDOW) {
        job_free(window->items[--window->count].job);
        window->more = true;
    }
    memmove(&window->items[at + 1], &window->items[at],
            (window->count - at) * sizeof(window->items[0]));
    window->items[at] = (struct ready){.job = job, .order_ms = order_ms};
    window->count++;
}

static struct job *window_take(struct window *window, unsigned at)
{
    struct job *job = window->items[at].job;

    window->count--;
    memmove(&window->items[at], &window->items[at + 1],
            (window->count - at) * sizeof(window->items[0]));
    return job;
}

static void window_clear(struct window *window)
{
    while (window->count > 0) {
        job_free(window->items[--window->count].job);
    }
}

void queue_forget(struct job_queue *queue, uint64_t id)
{
    for (unsigned line = 0; line < LINE_COUNT; line++) {
        for (unsigned big = 0; big < 2; big++) {
            struct window *window = &queue->windows[line][big];

            for (unsigned i = 0; i < window->count; i++) {
                if (window->items[i].job->id == id) {
                    job_free(window_take(window, i));
                    return;
                }
            }
        }
    }
}

void queue_entry_release(struct entry *entry)
{
    struct job_queue *queue = entry->queue;
    struct job *job = TAKE(entry->job);
    struct entry **link = &queue->entries;
    enum queue_line line;

    assert(entry->wishes == NULL);
    while (*link != entry) {
        link = &(*link)->next;
    }
    *link = entry->next;
    if (job != NULL && queue_line_of(job->state, &line) && !queue->stopping) {
        queue->look_again = queue->look_again || queue->looking; /* that look has not seen it */
        entry->order_ms = entry->order_ms != 0 ? entry->order_ms
                                               : job_order_ms(job->object.key, job->object.size,
                                                              job->action, job->sighted_ms);
        window_insert(&queue->windows[line][job->object.size >= JOB_BIG_BYTES], job,
                      entry->order_ms);
    } else {
        if (job != NULL && job->state == JOB_BACKOFF) {
            queue_wake_in(queue, MAX_OF(entry->note.retry_at_ms - now_wall_ms(), 0));
        }
        job_free(job);
    }
    free(entry);
    queue_pump(queue);
}

/* ---- starting */

static unsigned line_limit(const struct job_queue *queue, enum queue_line line)
{
    switch (line) {
    case LINE_QUEUED:
        return CRAWL_JOBS;
    case LINE_CRAWLED:
        return queue->services->conf->extract_jobs;
    default:
        return PUBLISH_JOBS;
    }
}

/** What a line has a slot for. */
struct slots {
    bool tiny, other, big;
};

static struct slots free_slots(const struct job_queue *queue, enum queue_line line)
{
    const unsigned limit = line_limit(queue, line);
    unsigned tiny = 0, other = 0, big = 0, waiting = 0;

    for (const struct entry *entry = queue->entries; entry != NULL; entry = entry->next) {
        const bool works = entry->stage != NULL && entry->line == line;
        const bool takes = works && !entry->waits;

        waiting += works && entry->waits;
        tiny += takes && entry->tiny;
        other += takes && !entry->tiny;
        big += takes && entry->big;
    }
    if (waiting >= QUEUE_WAITING_MAX) {
        return (struct slots){0};
    }
    /* The last slot of extraction is for small files, so that one of them can always pass. */
    return (struct slots){
        .tiny = tiny < TINY_JOBS,
        .other = other < limit,
        .big = other < limit && (line != LINE_CRAWLED || big < MAX_OF(limit - 1, 1)),
    };
}

/** Where in the window the first job is that there is a slot for and whose object nothing is being
 * done with; -1: nowhere. */
static int first_free(const struct job_queue *queue, const struct window *window, bool tiny_ok,
                      bool other_ok)
{
    for (unsigned i = 0; i < window->count; i++) {
        const struct job_object *object = &window->items[i].job->object;

        if ((object->size < JOB_TINY_BYTES ? tiny_ok : other_ok) &&
            !object_is_busy(queue, object->id)) {
            return (int)i;
        }
    }
    return -1;
}

/** Start the next job of a line, if there is one and a slot for it. */
static bool start_next(struct job_queue *queue, enum queue_line line)
{
    struct window *windows = queue->windows[line];
    const struct slots slots = free_slots(queue, line);
    const int small_at = first_free(queue, &windows[0], slots.tiny, slots.other);
    const int big_at = first_free(queue, &windows[1], false, slots.big);

    if (small_at < 0 && big_at < 0) {
        return false;
    }
    const bool big = small_at < 0 || (big_at >= 0 && windows[1].items[big_at].order_ms <
                                                         windows[0].items[small_at].order_ms);
    const unsigned at = (unsigned)(big ? big_at : small_at);
    const int64_t order_ms = windows[big].items[at].order_ms;

    queue_run(queue, window_take(&windows[big], at), order_ms, big, line);
    return true;
}

static void check_stopped(struct job_queue *queue)
{
    if (queue->stopped != NULL && queue->entries == NULL && !queue->looking &&
        !job_revise_reading(queue->revise)) {
        loop_defer(queue->services->loop, TAKE(queue->stopped), queue->stopped_arg);
    }
}

/** Tells commits and syncs whether company is to be expected. */
static void tell_gather(const struct job_queue *queue)
{
    unsigned near = 0;

    if (queue->services->gather == NULL) {
        return;
    }
    for (const struct entry *entry = queue->entries; entry != NULL; entry = entry->next) {
        near += entry->stage != NULL && entry->tiny && !entry->waits;
    }
    gather_at_work(queue->services->gather, near);
}

static void pump(void *arg)
{
    struct job_queue *queue = arg;
    const int64_t held_ms = queue->hold_until_ms - now_mono_ms();
    bool dry = false;

    queue->pump_due = false;
    tell_gather(queue);
    if (queue->stopping) {
        check_stopped(queue);
        return;
    }
    if (queue->paused || !queue->started) {
        return;
    }
    if (held_ms > 0) {
        queue_wake_in(queue, held_ms);
        return;
    }
    for (unsigned line = LINE_COUNT; line-- > 0;) { /* what is nearly done goes first */
        while (start_next(queue, line)) {
        }
        for (unsigned big = 0; big < 2; big++) {
            const struct window *window = &queue->windows[line][big];

            dry = dry || (window->count == 0 && window->more);
        }
    }
    if (dry) {
        look(queue);
    }
    tell_gather(queue);
}

void queue_pump(struct job_queue *queue)
{
    if (!queue->pump_due) {
        queue->pump_due = true;
        loop_defer(queue->services->loop, pump, queue);
    }
}

/* ---- looking at state.db */

/** Appends up to `limit` rows of `q`, whose columns after JOB_COLUMNS are order_ms and big. */
static enum rc read_rows(struct look *look, struct db_stmt *q, struct ready *rows, bool *bigs,
                         unsigned *count, struct err *err)
{
    while (db_step(q, err)) {
        struct job *job;

        if (job_from_row(q, look->queue->services->jobs, &job, err) != RC_OK) {
            db_reset(q);
            return err->rc;
        }
        rows[*count] = (struct ready){.job = job, .order_ms = db_int(q, 19)};
        if (bigs != NULL) {
            bigs[*count] = db_int(q, 20) != 0;
        }
        ++*count;
    }
    return db_failed(q) ? err->rc : RC_OK;
}

static enum rc read_line(struct db *db, struct look *look, enum queue_line line, bool big,
                         struct err *err)
{
    struct line_rows *rows = &look->lines[line][big];
    struct db_stmt *q = db_prepare(db,
                                   "SELECT " JOB_COLUMNS ", order_ms, big FROM jobs"
                                   " WHERE state = ? AND big = ? ORDER BY order_ms, id LIMIT ?",
                                   err);

    if (q == NULL) {
        return err->rc;
    }
    rows->rows = mem_resize(NULL, look->limit, sizeof(rows->rows[0]));
    db_bind_text(q, 1, job_state_name(line_states[line]));
    db_bind_int(q, 2, big);
    db_bind_int(q, 3, look->limit);
    return read_rows(look, q, rows->rows, NULL, &rows->count, err);
}

static enum rc read_backoff(struct db *db, struct look *look, struct err *err)
{
    struct db_stmt *q = db_prepare(db,
                                   "SELECT " JOB_COLUMNS ", order_ms, big FROM jobs"
                                   " WHERE state = 'BACKOFF' AND retry_at_ms <= ?"
                                   " ORDER BY retry_at_ms LIMIT ?",
                                   err);

    if (q == NULL) {
        return err->rc;
    }
    db_bind_int(q, 1, look->now_ms);
    db_bind_int(q, 2, QUEUE_WINDOW);
    if (read_rows(look, q, look->due, look->due_big, &look->due_count, err) != RC_OK ||
        (q = db_prepare(db,
                        "SELECT min(retry_at_ms) FROM jobs"
                        " WHERE state = 'BACKOFF' AND retry_at_ms > ?",
                        err)) == NULL) {
        return err->rc;
    }
    db_bind_int(q, 1, look->now_ms);
    look->next_due_ms = db_step(q, err) && !db_is_null(q, 0) ? db_int(q, 0) : 0;
    if (db_failed(q)) {
        return err->rc;
    }
    db_reset(q);
    return RC_OK;
}

static enum rc look_read(struct db *db, void *arg, struct err *err)
{
    struct look *look = arg;

    for (unsigned line = 0; line < LINE_COUNT; line++) {
        if (read_line(db, look, line, false, err) != RC_OK ||
            read_line(db, look, line, true, err) != RC_OK) {
            return err->rc;
        }
    }
    return read_backoff(db, look, err);
}

static void take_line(struct job_queue *queue, struct window *window, const struct look *look,
                      const struct line_rows *rows)
{
    window_clear(window);
    window->more = rows->count == look->limit;
    for (unsigned i = 0; i < rows->count; i++) {
        struct job *job = rows->rows[i].job;

        if (queue_entry_find(queue, job->id) != NULL) {
            job_free(job);
        } else if (window->count == QUEUE_WINDOW) {
            window->more = true; /* it asked for more rows than fit, by those at work */
            job_free(job);
        } else {
            window->items[window->count++] = rows->rows[i];
        }
    }
}

static void take_due(struct job_queue *queue, const struct look *look)
{
    bool moved = false;

    for (unsigned i = 0; i < look->due_count; i++) {
        struct job *job = look->due[i].job;

        if (queue->stopping || queue_entry_find(queue, job->id) != NULL ||
            object_is_busy(queue, job->object.id)) {
            job_free(job);
        } else {
            queue_retry_due(queue, job, look->due[i].order_ms, look->due_big[i]);
            moved = true;
        }
    }
    queue->look_again = queue->look_again || (moved && look->due_count == QUEUE_WINDOW);
    if (look->next_due_ms != 0) {
        queue_wake_in(queue, MAX_OF(look->next_due_ms - now_wall_ms(), 0));
    }
}

static void look_drop(const struct look *look)
{
    for (unsigned line = 0; line < LINE_COUNT; line++) {
        for (unsigned big = 0; big < 2; big++) {
            for (unsigned i = 0; i < look->lines[line][big].count; i++) {
                job_free(look->lines[line][big].rows[i].job);
            }
        }
    }
    for (unsigned i = 0; i < look->due_count; i++) {
        job_free(look->due[i].job);
    }
}

static void look_done(const struct err *err, void *arg)
{
    struct look *look_ = arg;
    struct job_queue *queue = look_->queue;

    queue->looking = false;
    if (err != NULL) {
        log_error(LOG_JOB, "the queue cannot be read: %s", err->text);
        look_drop(look_);
        queue_wake_in(queue, LOOK_RETRY_MS);
    } else {
        for (unsigned line = 0; line < LINE_COUNT; line++) {
            take_line(queue, &queue->windows[line][0], look_, &look_->lines[line][0]);
            take_line(queue, &queue->windows[line][1], look_, &look_->lines[line][1]);
        }
        take_due(queue, look_);
    }
    for (unsigned line = 0; line < LINE_COUNT; line++) {
        free(look_->lines[line][0].rows);
        free(look_->lines[line][1].rows);
    }
    free(look_);
    if (queue->look_again) {
        queue->look_again = false;
        look(queue);
    }
    queue_pump(queue);
}

static void look(struct job_queue *queue)
{
    if (!queue->started || queue->stopping) {
        return;
    }
    if (queue->looking) {
        queue->look_again = true;
        return;
    }
    struct look *fresh = mem_new(struct look);
    unsigned active = 0;

    for (const struct entry *entry = queue->entries; entry != NULL; entry = entry->next) {
        active++;
    }
    *fresh = (struct look){.queue = queue, .limit = QUEUE_WINDOW + active, .now_ms = now_wall_ms()};
    queue->looking = true;
    job_store_read(queue->services->jobs, look_read, look_done, fresh);
}

/* ---- the wake-up */

static void on_wake(void *arg)
{
    struct job_queue *queue = arg;
    struct entry *next;

    queue->wake_at_ms = 0;
    for (struct entry *entry = queue->entries; entry != NULL; entry = next) {
        next = entry->next;
        queue_unstick(entry);
    }
    look(queue);
}

void queue_wake_in(struct job_queue *queue, int64_t delay_ms)
{
    const int64_t delay = MIN_OF(delay_ms, WAKE_MAX_MS);
    const int64_t at_ms = now_mono_ms() + delay;

    if (queue->wake_at_ms == 0 || at_ms < queue->wake_at_ms) {
        queue->wake_at_ms = MAX_OF(at_ms, 1);
        loop_timer_arm(queue->wake, delay);
    }
}

/* ---- the face */

struct job_queue *job_queue_new(struct services *services, const struct job_stage *const *stages)
{
    struct job_queue *queue = mem_new(struct job_queue);

    queue->services = services;
    queue->generation = 1;
    while (stages[queue->stage_count] != NULL) {
        assert(queue->stage_count < QUEUE_STAGES_MAX);
        queue->stages[queue->stage_count] = stages[queue->stage_count];
        queue->stage_count++;
    }
    queue->wake = loop_timer_new(services->loop, on_wake, queue);
    queue->revise = job_revise_new(queue);
    return queue;
}

void job_queue_free(struct job_queue *queue)
{
    if (queue == NULL) {
        return;
    }
    assert(queue->entries == NULL && !queue->looking && !queue->pump_due);
    for (unsigned line = 0; line < LINE_COUNT; line++) {
        window_clear(&queue->windows[line][0]);
        window_clear(&queue->windows[line][1]);
    }
    job_revise_free(queue->revise);
    loop_timer_free(queue->wake);
    free(queue);
}

void job_queue_start(struct job_queue *queue)
{
    queue->started = true;
    look(queue);
    job_revise_all(queue->revise);
}

void job_queue_poke(struct job_queue *queue)
{
    look(queue);
}

void job_queue_pause(struct job_queue *queue, bool paused)
{
    queue->paused = paused;
    queue_pump(queue);
}

bool job_queue_paused(const struct job_queue *queue)
{
    return queue->paused;
}

void job_queue_stop(struct job_queue *queue, loop_fn *done, void *arg)
{
    struct entry *next;

    queue->stopping = true;
    queue->stopped = done;
    queue->stopped_arg = arg;
    loop_timer_disarm(queue->wake);
    for (struct entry *entry = queue->entries; entry != NULL; entry = next) {
        next = entry->next;
        queue_stop_entry(entry);
        queue_unstick(entry);
    }
    queue_pump(queue);
}

bool job_queue_idle(const struct job_queue *queue)
{
    uint64_t open = 0;

    for (unsigned s = 0; s < JOB_STATE_COUNT; s++) {
        if (job_state_kind(s) != JOB_KIND_END && s != JOB_WAITING) {
            open += job_store_count(queue->services->jobs, s);
        }
    }
    return open == 0 && queue->entries == NULL && !job_revise_busy(queue->revise);
}

unsigned job_queue_working(const struct job_queue *queue)
{
    unsigned working = 0;

    for (const struct entry *entry = queue->entries; entry != NULL; entry = entry->next) {
        working += entry->step == WORKING;
    }
    return working;
}

void job_queue_waits(struct job_queue *queue, const struct job *job, bool waits)
{
    struct entry *entry = queue_entry_find(queue, job->id);

    if (entry != NULL && entry->waits != waits) {
        entry->waits = waits;
        queue_pump(queue);
    }
}

unsigned job_queue_waiting(const struct job_queue *queue)
{
    unsigned waiting = 0;

    for (const struct entry *entry = queue->entries; entry != NULL; entry = entry->next) {
        waiting += entry->waits;
    }
    return waiting;
}

unsigned job_queue_room(const struct job_queue *queue)
{
    /* Twice the slots: so that a stage never waits for a source. */
    const uint64_t most = 2 * (CRAWL_JOBS + PUBLISH_JOBS + queue->services->conf->extract_jobs);
    uint64_t open = 0;

    for (unsigned s = 0; s < JOB_STATE_COUNT; s++) {
        if (job_state_kind(s) != JOB_KIND_END && s != JOB_WAITING && s != JOB_BACKOFF) {
            open += job_store_count(queue->services->jobs, s);
        }
    }
    open -= MIN_OF(open, (uint64_t)job_queue_waiting(queue));
    return queue->paused || queue->stopping || open >= most ? 0 : (unsigned)(most - open);
}

void job_queue_catalog_changed(struct job_queue *queue)
{
    queue->generation++;
    job_revise_all(queue->revise);
}

void job_queue_claims_freed(struct job_queue *queue)
{
    job_revise_blocked(queue->revise);
}
