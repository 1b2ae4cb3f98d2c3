/** @file
 * Wishes: an operator's, the catalog's or intake's, about one job.
 *
 * A job in memory is stopped first, if the wish needs it at rest, and the wish waits until its
 * stage has ended; any other is read, moved and forgotten. Either way the wish is served from the
 * job's entry, so that nothing else can happen to the job meanwhile.
 */
#include <inttypes.h>

#include "daemon/job/job_queue_p.h"
#include "lib/base/mem.h"

#define RACES_MAX 5

/** Whether a stage at work must end for it. Catalog's news wait: the stage may be what they are
 * about. */
static bool needs_stop(enum job_event event)
{
    return event == JOB_EV_CANCEL || event == JOB_EV_OVERTAKEN;
}

/** Whether it makes the job run again, which only the newest job of an object may. */
static bool runs_again(enum job_event event)
{
    return event == JOB_EV_RETRY || event == JOB_EV_REVISED || event == JOB_EV_RELEASED;
}

static void wish_end(struct entry *entry, const struct err *err)
{
    struct wish *wish = entry->wishes;

    entry->wishes = wish->next;
    entry->attempts = 0;
    if (wish->done != NULL) {
        wish->done(err, wish->arg);
    }
    free(wish->reason);
    free(wish);
    queue_entry_settle(entry);
}

static void on_wish_moved(struct job *job, const struct err *err, void *arg)
{
    struct entry *entry = arg;

    (void)job;
    if (err != NULL && err->rc == RC_CONFLICT && ++entry->attempts < RACES_MAX) {
        job_free(TAKE(entry->job)); /* somebody was faster: read what it is now */
        queue_wish_serve(entry);
        return;
    }
    if (err != NULL) {
        job_free(TAKE(entry->job));
    }
    wish_end(entry, err);
}

static void wish_move(struct entry *entry)
{
    const struct wish *wish = entry->wishes;
    struct job *job = entry->job;
    const struct job_note note = {.reason = wish->reason, .actor = wish->actor};

    if (job_edge_find(job->state, wish->event, job->action) == NULL) {
        struct err err;

        err_set(&err, RC_INVALID, "job %" PRIu64 " is %s; %s does not apply to it", entry->id,
                job_state_name(job->state), job_event_name(wish->event));
        wish_end(entry, &err);
        return;
    }
    entry->step = WISHING;
    job_move(job, wish->event, &note, on_wish_moved, entry);
}

static void on_wish_loaded(struct job *job, uint64_t newest, const struct err *err, void *arg)
{
    struct entry *entry = arg;

    if (err != NULL) {
        wish_end(entry, err);
        return;
    }
    entry->job = job;
    entry->object = job->object.id;
    if (runs_again(entry->wishes->event) && newest != job->id) {
        struct err newer;

        err_set(&newer, RC_INVALID,
                "job %" PRIu64 " is about an older version of '%s'; its newest is job %" PRIu64,
                job->id, job->object.key, newest);
        wish_end(entry, &newer);
        return;
    }
    wish_move(entry);
}

void queue_wish_serve(struct entry *entry)
{
    if (entry->job != NULL) {
        wish_move(entry);
        return;
    }
    entry->step = LOADING;
    job_load(entry->queue->services->jobs, entry->id, on_wish_loaded, entry);
}

static void add_wish(struct entry *entry, struct wish *wish)
{
    struct wish **last = &entry->wishes;

    while (*last != NULL) {
        last = &(*last)->next;
    }
    *last = wish;
}

void job_queue_tell(struct job_queue *queue, uint64_t id, enum job_event event, const char *reason,
                    job_queue_done_fn *done, void *arg)
{
    struct entry *entry = queue_entry_find(queue, id);
    struct wish *wish = mem_new(struct wish);

    *wish = (struct wish){.event = event,
                          .reason = reason != NULL ? str_dup(reason) : NULL,
                          .actor = event == JOB_EV_CANCEL || event == JOB_EV_RETRY ? "operator"
                                                                                   : "daemon",
                          .done = done,
                          .arg = arg};
    if (entry != NULL) {
        add_wish(entry, wish);
        if (needs_stop(event)) {
            queue_stop_entry(entry);
        }
        return;
    }
    queue_forget(queue, id);
    entry = queue_entry_new(queue, id);
    add_wish(entry, wish);
    queue_wish_serve(entry);
}
