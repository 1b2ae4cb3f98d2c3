/** @file
 * One job, one stage: STARTED, the stage itself, and how it ended.
 *
 * A move that state.db refuses (a full disk) is not lost: a job that had not started stays in its
 * line, one that has ended keeps its result in memory and is tried again until the row is written.
 */
#include <inttypes.h>
#include <string.h>
#include <sys/random.h>

#include "daemon/job/job_queue_p.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/now.h"

#define REFUSED_PAUSE_MS 2000
#define FULL_COMPLAINT_MS 10000

static uint64_t random_bits(void)
{
    uint64_t bits = 0;

    if (getrandom(&bits, sizeof(bits), GRND_NONBLOCK) != (ssize_t)sizeof(bits)) {
        bits = (uint64_t)now_mono_us(); /* only spreads retries; any number will do */
    }
    return bits;
}

static const struct job_stage *stage_of(const struct job_queue *queue, enum job_state state)
{
    for (unsigned i = 0; i < queue->stage_count; i++) {
        if (queue->stages[i]->state == state) {
            return queue->stages[i];
        }
    }
    return NULL;
}

void queue_entry_settle(struct entry *entry)
{
    if (entry->wishes != NULL) {
        queue_wish_serve(entry);
    } else {
        queue_entry_release(entry);
    }
}

/* ---- how it ended */

/** A full disk, or an installation at fault, must not quarantine the backlog: the job waits the
 * longest time, without limit, and we say so (decision 0004). */
static void wait_for_host(struct entry *entry)
{
    struct job_queue *queue = entry->queue;
    const int64_t cap_ms = queue->services->conf->retry_cap_ms;
    const int64_t now_ms = now_mono_ms();

    entry->note.retry_at_ms = now_wall_ms() + cap_ms;
    if (queue->told_full_ms == 0 || now_ms - queue->told_full_ms >= FULL_COMPLAINT_MS) {
        queue->told_full_ms = now_ms;
        log_error(LOG_JOB,
                  "%s: job=%" PRIu64 " waits %" PRId64 " ms and is tried again until that is "
                  "mended: %s",
                  rc_text(entry->note.rc), entry->id, cap_ms,
                  entry->note.reason != NULL ? entry->note.reason : "");
    }
}

/** When a deferred job is tried again, or that it is not. */
static void decide_retry(struct entry *entry)
{
    const struct conf *conf = entry->queue->services->conf;
    const unsigned failures = entry->job->failures + 1;

    if (entry->note.rc == RC_NO_SPACE || entry->note.rc == RC_HOST) {
        wait_for_host(entry);
        return;
    }
    if (failures >= conf->retry_attempts) {
        entry->event = JOB_EV_REJECTED;
        entry->note.reason =
            arena_printf(entry->job->arena, "gave up after %u attempts: %s", failures,
                         entry->note.reason != NULL ? entry->note.reason : "no reason given");
        return;
    }
    entry->note.retry_at_ms = now_wall_ms() + job_backoff_ms(failures, conf->retry_base_ms,
                                                             conf->retry_cap_ms, random_bits());
}

static char *keep(struct arena *arena, const char *text)
{
    return text != NULL ? arena_dup(arena, text) : NULL;
}

/** What a stage reports becomes what is recorded. */
static void take_outcome(struct entry *entry, enum job_event event, const struct job_note *note)
{
    static const struct job_note silent = {0};
    struct arena *arena = entry->job->arena;

    entry->event = event;
    entry->note = note != NULL ? *note : silent;
    entry->note.reason = keep(arena, entry->note.reason);
    entry->note.rows_digest = keep(arena, entry->note.rows_digest);
    entry->note.request_ids = keep(arena, entry->note.request_ids);
    if (job_edge_find(entry->job->state, event, entry->job->action) == NULL) {
        entry->event = JOB_EV_REJECTED;
        entry->note = (struct job_note){.rc = RC_BUG};
        entry->note.reason = arena_printf(arena, "the stage '%s' ended with %s", entry->stage->name,
                                          job_event_name(event));
    } else if (event == JOB_EV_STOPPED && !entry->stop_asked) {
        /* It would start again at once, and again. */
        entry->event = JOB_EV_DEFERRED;
        entry->note.rc = RC_CANCELED;
    }
    if (entry->event == JOB_EV_DEFERRED && !entry->note.waits) {
        decide_retry(entry);
    }
}

static void record_end(struct entry *entry);

/** An extraction that began before the catalog's last change, or before this daemon, may have used
 * rows that are no longer right, or missed ones that have come. */
static void compare_if_stale(struct entry *entry)
{
    const struct job *job = entry->job;

    if ((job->state == JOB_WAITING || job->state == JOB_SKIPPED || job->state == JOB_DONE ||
         job->state == JOB_QUARANTINED) &&
        job->generation != entry->queue->generation) {
        job_revise_one(entry->queue->revise, job->id);
    }
    if (job->state == JOB_QUARANTINED && entry->note.rc == RC_CONFLICT) {
        job_revise_blocked(entry->queue->revise); /* the key may be free by now */
    }
}

static void on_end_recorded(struct job *job, const struct err *err, void *arg)
{
    struct entry *entry = arg;
    struct job_queue *queue = entry->queue;

    if (err == NULL) {
        entry->stage = NULL;
        compare_if_stale(entry);
        queue_entry_settle(entry);
        return;
    }
    if (err->rc == RC_CONFLICT || queue->stopping) {
        /* What is on disk counts; boot, or the next look, goes on from there. */
        log_error(LOG_JOB, "job=%" PRIu64 ": its end in %s was not recorded: %s", entry->id,
                  job_state_name(job->state), err->text);
        entry->stage = NULL;
        job_free(TAKE(entry->job));
        queue_entry_settle(entry);
        return;
    }
    log_error(LOG_JOB, "job=%" PRIu64 ": %s could not be recorded, and is tried again: %s",
              entry->id, job_event_name(entry->event), err->text);
    entry->step = STUCK;
    queue_wake_in(queue, REFUSED_PAUSE_MS);
}

static void record_end(struct entry *entry)
{
    entry->step = ENDING;
    job_move(entry->job, entry->event, &entry->note, on_end_recorded, entry);
}

void queue_unstick(struct entry *entry)
{
    if (entry->step == STUCK) {
        record_end(entry);
    }
}

static void on_stage_done(struct job *job, enum job_event event, const struct job_note *note,
                          void *arg)
{
    struct entry *entry = arg;

    take_outcome(entry, event, note);
    entry->waits = false;
    job->work = NULL;
    record_end(entry);
}

/* ---- how it begins */

static void on_started(struct job *job, const struct err *err, void *arg)
{
    struct entry *entry = arg;
    struct job_queue *queue = entry->queue;

    if (err != NULL) {
        /* RC_CONFLICT: an operator, or a newer version, was faster; that is no news. */
        if (err->rc != RC_CONFLICT) {
            log_error(LOG_JOB, "job=%" PRIu64 " cannot start: %s", entry->id, err->text);
            queue->hold_until_ms = now_mono_ms() + REFUSED_PAUSE_MS;
        }
        queue_wake_in(queue, err->rc == RC_CONFLICT ? 0 : REFUSED_PAUSE_MS);
        entry->stage = NULL;
        job_free(TAKE(entry->job));
        queue_entry_settle(entry);
        return;
    }
    if (entry->stop_asked) {
        take_outcome(entry, JOB_EV_STOPPED, NULL);
        record_end(entry);
        return;
    }
    entry->step = WORKING;
    entry->stage->start(queue->services, job, on_stage_done, entry);
}

void queue_run(struct job_queue *queue, struct job *job, int64_t order_ms, bool big,
               enum queue_line line)
{
    const struct job_edge *edge = job_edge_find(job->state, JOB_EV_STARTED, job->action);
    struct entry *entry = queue_entry_new(queue, job->id);

    entry->job = job;
    entry->object = job->object.id;
    entry->order_ms = order_ms;
    entry->big = big;
    entry->tiny = job->object.size < JOB_TINY_BYTES;
    entry->line = line;
    entry->stage = stage_of(queue, edge->to);
    if (edge->to == JOB_EXTRACTING) {
        job->generation = queue->generation;
    }
    entry->step = STARTING;
    job_move(job, JOB_EV_STARTED, NULL, on_started, entry);
}

void queue_stop_entry(struct entry *entry)
{
    if (entry->stop_asked || (entry->step != STARTING && entry->step != WORKING)) {
        return;
    }
    entry->stop_asked = true;
    if (entry->step == WORKING) {
        entry->stage->stop(entry->job);
    }
}

/* ---- the end of a backoff */

static void on_retry_recorded(struct job *job, const struct err *err, void *arg)
{
    struct entry *entry = arg;

    (void)job;
    if (err != NULL) {
        if (err->rc != RC_CONFLICT) {
            log_error(LOG_JOB, "job=%" PRIu64 " cannot leave BACKOFF: %s", entry->id, err->text);
        }
        queue_wake_in(entry->queue, REFUSED_PAUSE_MS);
        job_free(TAKE(entry->job));
    }
    queue_entry_settle(entry);
}

void queue_retry_due(struct job_queue *queue, struct job *job, int64_t order_ms, bool big)
{
    struct entry *entry = queue_entry_new(queue, job->id);

    entry->job = job;
    entry->object = job->object.id;
    entry->order_ms = order_ms;
    entry->big = big;
    entry->step = ENDING;
    job_move(job, JOB_EV_RETRY_DUE, NULL, on_retry_recorded, entry);
}
