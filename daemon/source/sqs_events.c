/** @file
 * From messages to sightings, and from sightings to the jobs that a message waits for.
 *
 * sqs_events_take() reads a message. Where its words leave something open (is that version the
 * current one? is this key encoded?) the store is asked. Then the message stands in line for the
 * intake, which takes as many at once as there are; and then the states of the jobs are read, for a
 * job may have ended before anybody waited for it.
 */
#include <inttypes.h>
#include <string.h>

#include "daemon/intake/intake.h"
#include "daemon/intake/unread.h"
#include "daemon/job/job_store.h"
#include "daemon/metrics.h"
#include "daemon/source/sqs_queue_p.h"
#include "lib/base/arena.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/now.h"
#include "lib/base/str.h"

#define BATCH_MAX 1000 /**< What the intake takes at once. */

void sqs_reading_free(struct sqs_reading *reading)
{
    if (reading != NULL) {
        envelope_done(&reading->envelope);
        free(reading->body);
        free(reading);
    }
}

static void ignore(struct sqs_held *held, struct sqs_meant *meant, const char *why)
{
    struct sqs_queue *queue = held->queue;

    meant->dropped = true;
    queue->status.ignored++;
    metric_add(
        queue->all->services->metrics, METRIC_SIGHTINGS,
        METRIC_LABELS(sighting_source_name(SIGHTING_SQS), sighting_outcome_name(OUTCOME_IGNORED)),
        1);
    log_debug(LOG_SOURCE, "queue '%s': message %s: %s", queue->name, held->id, why);
}

/** Something of the message has been decided, or cannot be now. */
static void decided(struct sqs_held *held)
{
    held->undecided--;
    held->queue->all->work--;
    sqs_held_settle(held);
    sqs_held_release(held);
}

static void begin_work(struct sqs_held *held)
{
    held->undecided++;
    held->queue->all->work++;
}

/** Into the line, if it says anything; or it comes again, if the store did not answer. */
static void enter_line(struct sqs_held *held)
{
    struct sqs_queues *all = held->queue->all;
    const struct sqs_reading *reading = held->reading;
    bool says = false;

    for (unsigned i = 0; i < reading->envelope.count; i++) {
        says = says || !reading->meant[i].dropped;
    }
    if (reading->failed) {
        sqs_held_let_go(held);
    } else if (says && all->stopping) {
        held->untold = true;
    } else if (says && held->step == SQS_DECIDING) {
        begin_work(held);
        held->fresh_next = NULL;
        *all->fresh_last = held;
        all->fresh_last = &held->fresh_next;
    }
}

/* ---- asking the store */

struct look {
    struct sqs_held *held;
    struct sqs_meant *meant;
    const struct envelope_event *event;
    const char *other; /**< The key that it may be instead; NULL: there is but one. */
    bool encoded;      /**< It is the other one that is being asked for. */
};

static bool is_plain_removal(const struct envelope_event *event)
{
    return event->what == ENVELOPE_REMOVED && !event->one_version;
}

/** Whether the event can be of the key that was asked for: what was created is there, and what was
 * removed is not. */
static bool fits(const struct look *look, bool there)
{
    return there != is_plain_removal(look->event);
}

static const char *relative_key(const struct sqs_queues *all, const char *key)
{
    const char *prefix = all->services->raw->uri->path;
    size_t len = strlen(prefix);

    while (len > 0 && prefix[len - 1] == '/') {
        len--;
    }
    if (len == 0) {
        return key;
    }
    return strncmp(key, prefix, len) == 0 && key[len] == '/' && key[len + 1] != '\0' ? key + len + 1
                                                                                     : NULL;
}

static void take_object(struct look *look, const struct store_object *object)
{
    struct sighting *sighting = &look->meant->sighting;
    struct arena *arena = look->held->reading->envelope.arena;
    const bool current = sighting->gone || sighting->etag[0] == '\0' ||
                         (sighting->size == 0 && strcmp(sighting->etag, object->etag) != 0);

    sighting->gone = false;
    sighting->size = sighting->size == 0 ? object->size : sighting->size;
    if (current) { /* what is there now, whatever the event was about */
        sighting->etag = arena_dup(arena, object->etag);
        sighting->version = arena_dup(arena, object->version);
        sighting->size = object->size;
        sighting->modified_ms = object->modified_ms;
    }
}

/** One key tells how EventBridge writes those of this queue. What is there is what was created, if
 * it is that version; that something is there, or is not, when it was removed tells nothing, for it
 * may have been put again. */
static void learn_keys(const struct look *look, const struct store_object *object)
{
    struct sqs_queue *queue = look->held->queue;
    const char *etag = look->event->etag;

    if (queue->keys == SQS_KEYS_UNKNOWN && look->event->what == ENVELOPE_CREATED &&
        (etag[0] == '\0' || strcmp(etag, object->etag) == 0)) {
        queue->keys = look->encoded ? SQS_KEYS_ENCODED : SQS_KEYS_RAW;
        log_info(LOG_SOURCE, "queue '%s': EventBridge's keys are %s", queue->name,
                 look->encoded ? "encoded" : "not encoded");
    }
}

/** What the store's answer makes of the event. */
static void judge(struct look *look, const struct store_object *object)
{
    const bool fitting = fits(look, object != NULL);

    if (look->other != NULL && fitting) {
        if (object != NULL) {
            learn_keys(look, object);
        }
        look->meant->sighting.key = look->encoded ? look->other : look->meant->sighting.key;
    }
    if (is_plain_removal(look->event)) {
        if (!fitting) {
            ignore(look->held, look->meant, "its object is there again");
        }
    } else if (object != NULL) {
        take_object(look, object);
    } else if (look->event->what == ENVELOPE_CREATED) {
        ignore(look->held, look->meant, "its object is gone already");
    }
}

static void on_looked(const struct store_object *object, const struct err *err, void *arg);

static void ask(struct look *look, const char *key)
{
    store_head(look->held->queue->all->services->raw, key, on_looked, look);
}

static void on_looked(const struct store_object *object, const struct err *err, void *arg)
{
    struct look *look = arg;
    struct sqs_held *held = look->held;
    struct sqs_queues *all = held->queue->all;
    const bool absent = err != NULL && (err->rc == RC_NOT_FOUND || err->rc == RC_INVALID);

    if ((err == NULL || absent) && !fits(look, !absent) && look->other != NULL && !look->encoded &&
        held->step == SQS_DECIDING) {
        look->encoded = true;
        ask(look, look->other);
        return;
    }
    if (err != NULL && !absent) {
        held->reading->failed = true;
        sqs_queue_failed(held->queue, "asking the raw store about an event", err);
    } else if (held->step == SQS_DECIDING) {
        judge(look, err == NULL ? object : NULL);
    }
    free(look);
    if (--held->reading->lookups == 0) {
        enter_line(held);
    }
    decided(held);
    sqs_events_pump(all);
    sqs_queues_check(all);
}

static void look_at(struct sqs_held *held, unsigned i, const char *other)
{
    struct look *look = mem_new(struct look);

    *look = (struct look){.held = held,
                          .meant = &held->reading->meant[i],
                          .event = &held->reading->envelope.events[i],
                          .other = other};
    held->reading->lookups++;
    begin_work(held);
    ask(look, look->meant->sighting.key);
}

/* ---- reading a message */

/** What was created is known by etag and size. A size of 0 may be one that was left out, or could
 * not be read, and an object that is taken for empty is worked on no more. */
static bool leaves_open(const struct envelope_event *event)
{
    return event->etag[0] == '\0' || event->size == 0;
}

static void read_event(struct sqs_held *held, unsigned i)
{
    struct sqs_queues *all = held->queue->all;
    const struct envelope_event *event = &held->reading->envelope.events[i];
    struct sqs_meant *meant = &held->reading->meant[i];
    const bool bridge = event->alternative[0] != '\0';
    const bool encoded = bridge && held->queue->keys == SQS_KEYS_ENCODED;
    const char *key = relative_key(all, encoded ? event->alternative : event->key);
    const char *other = bridge && held->queue->keys == SQS_KEYS_UNKNOWN
                            ? relative_key(all, event->alternative)
                            : NULL;

    if (event->what == ENVELOPE_OTHER) {
        ignore(held, meant, event->name);
    } else if (strcmp(event->bucket, store_bucket(all->services->raw)) != 0) {
        ignore(held, meant, "an event of another bucket");
    } else if (key == NULL) {
        ignore(held, meant, "an event of a key outside the raw store's prefix");
    } else {
        const bool gone = event->what == ENVELOPE_REMOVED;

        meant->sighting = (struct sighting){.source = SIGHTING_SQS,
                                            .gone = gone,
                                            .bucket = event->bucket,
                                            .key = key,
                                            .version = gone ? "" : event->version,
                                            .etag = gone ? "" : event->etag,
                                            .sequencer = event->sequencer,
                                            .size = event->size,
                                            .modified_ms = event->event_ms,
                                            .event_ms = event->event_ms};
        if (other != NULL || (gone && event->one_version) || (!gone && leaves_open(event))) {
            look_at(held, i, other);
        }
    }
}

static const char *kind_name(const struct envelope *envelope)
{
    static const char *const names[] = {[ENVELOPE_EVENTS] = "events",
                                        [ENVELOPE_TEST] = "test",
                                        [ENVELOPE_GLUE] = "glue",
                                        [ENVELOPE_UNKNOWN] = "unknown"};

    return names[envelope->kind];
}

struct keep {
    struct sqs_held *held;
    struct unread_message unread;
};

static enum rc keep_write(struct db *db, void *arg, struct err *err)
{
    const struct keep *keep = arg;

    return unread_keep(db, &keep->unread, err);
}

static void keep_done(const struct err *err, void *arg)
{
    struct keep *keep = arg;
    struct sqs_held *held = keep->held;
    struct sqs_queue *queue = held->queue;

    if (err != NULL) {
        sqs_queue_failed(queue, "keeping a message that cannot be read", err);
        sqs_held_let_go(held);
    } else {
        queue->status.unread++;
        log_warn(LOG_SOURCE,
                 "queue '%s': message %s cannot be read and is kept (sevirctl quarantine): %s",
                 queue->name, held->id, keep->unread.reason);
    }
    free(keep);
    decided(held);
    sqs_queues_check(queue->all);
}

static void keep(struct sqs_held *held, const char *body)
{
    struct sqs_reading *reading = held->reading;
    struct keep *keep = mem_new(struct keep);

    reading->body = str_dup(body);
    *keep = (struct keep){.held = held,
                          .unread = {.queue = held->queue->url,
                                     .message = held->id,
                                     .body = reading->body,
                                     .reason = reading->envelope.reason,
                                     .receives = held->receives}};
    begin_work(held);
    job_store_write(held->queue->all->services->jobs, keep_write, keep_done, keep);
}

void sqs_events_take(struct sqs_held *held, const char *body, const char *fault)
{
    struct sqs_queue *queue = held->queue;
    struct sqs_queues *all = queue->all;
    struct sqs_reading *reading = mem_new(struct sqs_reading);
    struct envelope *envelope = &reading->envelope;

    if (fault[0] == '\0') {
        envelope_read(body, strlen(body), envelope);
    } else {
        envelope_refuse(fault, envelope);
    }
    held->reading = reading;
    begin_work(held);
    metric_add(all->services->metrics, METRIC_SQS_MESSAGES,
               METRIC_LABELS(envelope->form, kind_name(envelope)), 1);
    reading->meant = arena_alloc(envelope->arena, (envelope->count + 1) * sizeof(*reading->meant));
    if (envelope->kind == ENVELOPE_TEST) {
        queue->status.tests++;
        log_note(LOG_SOURCE, "queue '%s': a test event: notifications arrive", queue->name);
    } else if (envelope->kind == ENVELOPE_GLUE && all->glue != NULL) {
        all->glue(&envelope->glue, all->glue_arg);
    }
    for (unsigned i = 0; i < envelope->count; i++) {
        read_event(held, i);
    }
    if (envelope->reason[0] != '\0') {
        keep(held, body);
    }
    if (reading->lookups == 0) {
        enter_line(held);
    }
    decided(held);
}

/* ---- the intake */

struct sqs_batch {
    struct sqs_queues *all;
    struct sqs_held **held; /**< The messages. */
    unsigned held_count, held_room;
    struct sighting sightings[BATCH_MAX];
    struct sqs_held *owners[BATCH_MAX]; /**< Whose sighting it is. */
    unsigned count;
    uint64_t jobs[BATCH_MAX]; /**< The read lane's, with `states`, until it is done. */
    enum job_state states[BATCH_MAX];
    unsigned job_count;
};

static void batch_end(struct sqs_batch *batch, const struct err *err)
{
    struct sqs_queues *all = batch->all;

    all->batch = NULL;
    if (err != NULL && batch->held_count > 0) {
        sqs_queue_failed(batch->held[0]->queue, "recording what was told", err);
    }
    for (unsigned i = 0; i < batch->held_count; i++) {
        if (err != NULL) {
            sqs_held_let_go(batch->held[i]);
        }
        decided(batch->held[i]);
    }
    free(batch->held);
    free(batch);
    sqs_events_pump(all);
    sqs_queues_tick(all);
    sqs_queues_check(all);
}

static enum rc read_states(struct db *db, void *arg, struct err *err)
{
    struct sqs_batch *batch = arg;

    for (unsigned i = 0; i < batch->job_count; i++) {
        struct db_stmt *q = db_prepare(db, "SELECT state FROM jobs WHERE id = ?", err);

        if (q == NULL) {
            return err->rc;
        }
        db_bind_int(q, 1, (int64_t)batch->jobs[i]);
        batch->states[i] = JOB_DONE; /* of one that is forgotten nothing more comes */
        if (db_step(q, err) && !job_state_parse(db_text(q, 0), &batch->states[i])) {
            err_set(err, RC_CORRUPT, "job %" PRIu64 " has the unknown state '%s'", batch->jobs[i],
                    db_text(q, 0));
            db_reset(q);
            return err->rc;
        }
        if (db_failed(q)) {
            return err->rc;
        }
        db_reset(q);
    }
    return RC_OK;
}

static void on_states(const struct err *err, void *arg)
{
    struct sqs_batch *batch = arg;

    for (unsigned i = 0; err == NULL && i < batch->job_count; i++) {
        sqs_held_job(batch->all, batch->jobs[i], batch->states[i]);
    }
    batch_end(batch, err);
}

/** Whether something may still come of the job that a sighting led to. */
static bool leads_to_work(enum sighting_outcome outcome)
{
    return outcome == OUTCOME_QUEUED || outcome == OUTCOME_REQUEUED || outcome == OUTCOME_KNOWN ||
           outcome == OUTCOME_RETIRING;
}

static void on_sighted(const struct intake_result *results, unsigned count, const struct err *err,
                       void *arg)
{
    struct sqs_batch *batch = arg;

    if (err != NULL) {
        batch_end(batch, err);
        return;
    }
    for (unsigned i = 0; i < count; i++) {
        if (results[i].job != 0 && leads_to_work(results[i].outcome) &&
            batch->owners[i]->step == SQS_DECIDING) {
            sqs_held_wait(batch->owners[i], results[i].job);
            batch->jobs[batch->job_count++] = results[i].job;
        }
    }
    if (batch->job_count == 0) {
        batch_end(batch, NULL);
        return;
    }
    job_store_read(batch->all->services->jobs, read_states, on_states, batch);
}

static unsigned sightings_of(const struct sqs_held *held)
{
    unsigned count = 0;

    for (unsigned i = 0; i < held->reading->envelope.count; i++) {
        count += !held->reading->meant[i].dropped;
    }
    return count;
}

static void batch_add(struct sqs_batch *batch, struct sqs_held *held)
{
    const struct sqs_reading *reading = held->reading;

    if (batch->held_count == batch->held_room) {
        batch->held_room = batch->held_room > 0 ? batch->held_room * 2 : 16;
        batch->held = mem_resize(batch->held, batch->held_room, sizeof(*batch->held));
    }
    batch->held[batch->held_count++] = held;
    for (unsigned i = 0; i < reading->envelope.count; i++) {
        if (!reading->meant[i].dropped) {
            batch->owners[batch->count] = held;
            batch->sightings[batch->count++] = reading->meant[i].sighting;
        }
    }
}

void sqs_events_pump(struct sqs_queues *all)
{
    struct sqs_batch *batch = NULL;

    if (all->batch != NULL) {
        return;
    }
    while (all->fresh != NULL) {
        struct sqs_held *held = all->fresh;

        if (batch != NULL && batch->count + sightings_of(held) > BATCH_MAX) {
            break;
        }
        all->fresh = held->fresh_next;
        if (all->fresh == NULL) {
            all->fresh_last = &all->fresh;
        }
        if (held->step != SQS_DECIDING || all->stopping) {
            held->untold = true;
            decided(held);
            continue;
        }
        if (batch == NULL) {
            batch = mem_new(struct sqs_batch);
            batch->all = all;
        }
        batch_add(batch, held);
    }
    if (batch != NULL) {
        all->batch = batch;
        intake_sight(all->services->intake, batch->sightings, batch->count, on_sighted, batch);
    }
}
