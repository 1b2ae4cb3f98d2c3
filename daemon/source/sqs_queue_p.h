/** @file
 * Private to the queues: sqs_queue.c receives, sqs_events.c turns messages into sightings,
 * sqs_held.c knows which message waits for which job, sqs_lease.c extends, deletes and gives back.
 *
 * Thread:     the loop's.
 */
#pragma once

#include <uthash.h>
#include <utlist.h>

#include "daemon/intake/intake.h"
#include "daemon/job/job_watch.h"
#include "daemon/services.h"
#include "daemon/source/sqs_queue.h"
#include "lib/aws/sqs.h"
#include "lib/run/loop.h"

#define SQS_NEVER INT64_MAX

struct sqs_queue;
struct sqs_batch;
struct lease_call;

/** A job that messages wait for. */
struct sqs_job {
    uint64_t id;
    struct sqs_wait *waits;
    UT_hash_handle hh;
};

/** One message waiting for one job. */
struct sqs_wait {
    struct sqs_held *held;
    struct sqs_job *job;
    struct sqs_wait *next;                /**< Of the message. */
    struct sqs_wait *job_prev, *job_next; /**< Of the job. */
};

/** A message from its receive to its deletion. */
struct sqs_held {
    struct sqs_queue *queue;
    char *id, *handle; /**< "" where it came without one: nothing can be said to the queue of it. */
    UT_hash_handle hh; /**< By id, in its queue. */
    unsigned serial;   /**< Counts its handles: an answer about an older one says nothing. */
    unsigned receives; /**< By SQS's count. */

    /** DECIDING: what it means is being found out. WAITING: for jobs. DONE: to be deleted.
     * GONE: not ours any more; freed when the last call that names it is back. */
    enum { SQS_DECIDING, SQS_WAITING, SQS_DONE, SQS_GONE } step;
    struct sqs_reading *reading; /**< While DECIDING. */
    unsigned undecided;          /**< Lookups, batches and writes under way. */
    bool untold; /**< The stop came before the intake was told of it: it is given back. */
    struct sqs_wait *waits;

    int64_t deadline_ms;  /**< Monotonic, as all below: when SQS gives it to others. */
    int64_t extend_at_ms; /**< Not after half of the time-out. */
    int64_t wall_at_ms;
    bool last_time; /**< It cannot be extended any more. */
    unsigned calls; /**< Under way, that name it. */

    struct sqs_held *prev, *next; /**< Of those to be deleted. */
    bool listed;
    int64_t delete_at_ms;
    unsigned failures; /**< Of its deletion. */

    struct sqs_held *fresh_next; /**< In the line to the intake. */
};

/** What a message that is being decided says. */
struct sqs_reading {
    struct envelope envelope;
    struct sqs_meant {
        struct sighting sighting;
        bool dropped; /**< Nothing is to be sighted. */
    } * meant;        /**< One an event of the envelope, whose strings these are. */
    unsigned lookups; /**< Questions to the store under way. */
    bool failed;      /**< One of them was not answered. */
    char *body;       /**< Of what could not be read; else NULL. */
};

/** A receive under way. */
struct sqs_poll {
    struct sqs_queue *queue;
    struct sqs_poll *prev, *next;
    struct aws_call *call;
    unsigned max;
    bool canceled;
    int64_t began_ms;
};

struct sqs_queue {
    struct sqs_queues *all;
    char *url;
    const char *name; /**< The last part of the URL: for messages. */
    struct sqs_poll *polls;
    unsigned poll_count, want; /**< How many receives there are, and may be, at once. */
    bool quiet;                /**< The last receive brought nothing. */
    int64_t retry_at_ms;       /**< Nothing is received before. */
    unsigned failures;         /**< Of receives, in a row. */

    struct sqs_held *held;     /**< By id. */
    struct sqs_held *done;     /**< To be deleted, in the order of their time. */
    unsigned done_count;       /**< Of those no call is under way for. */
    unsigned deletes, extends; /**< Calls under way. */
    int64_t extend_due_ms;     /**< The earliest of all held. */
    bool extend_blocked;       /**< As many calls as may be: go on when one is back. */

    enum { SQS_KEYS_UNKNOWN, SQS_KEYS_RAW, SQS_KEYS_ENCODED } keys; /**< EventBridge's. */

    struct err error;           /**< rc is RC_OK while all is well. */
    int64_t error_ms;           /**< Wall clock. */
    struct source_queue status; /**< Counts; the rest is filled when it is asked for. */
};

struct sqs_queues {
    struct services *services;
    struct sqs_limits limits;
    sqs_rested_fn *rested;
    void *arg;
    source_glue_fn *glue;
    void *glue_arg;

    struct sqs_queue *queues;
    unsigned count;
    struct loop_timer *timer;
    struct job_watch *watch;
    bool started, paused, stopping, giving_back;
    bool ended;         /**< `rested` was called. */
    bool tick_due;      /**< sqs_queues_tick() was asked for. */
    int64_t stop_by_ms; /**< Monotonic: then what was sent is not waited for any more. */

    unsigned held;        /**< Messages. */
    unsigned undecided;   /**< Of those DECIDING. */
    unsigned work;        /**< Lookups, batches and writes under way. */
    double share_new;     /**< Of what was received lately, the part that meant work: 0 to 1. */
    struct sqs_job *jobs; /**< By id. */

    struct sqs_held *fresh, **fresh_last; /**< Decided but for the intake. */
    struct sqs_batch *batch;              /**< With the intake. */
    struct lease_call *calls;
};

/* sqs_queue.c */
void sqs_queue_failed(struct sqs_queue *queue, const char *doing, const struct err *err);
void sqs_queue_works(struct sqs_queue *queue);
/** Do what is due, and arm the timer; later. */
void sqs_queues_tick(struct sqs_queues *all);
/** Something has ended: perhaps it was the last. */
void sqs_queues_check(struct sqs_queues *all);

/* sqs_events.c */
/** What the message says, and what is to be done about it. `fault` "", or why it is none. */
void sqs_events_take(struct sqs_held *held, const char *body, const char *fault);
/** Sight what is decided, if the intake has nothing of ours. */
void sqs_events_pump(struct sqs_queues *all);
void sqs_reading_free(struct sqs_reading *reading);

/* sqs_held.c */
/** The message as received; NULL when it was held already (its lease is renewed then). */
struct sqs_held *sqs_held_take(struct sqs_queue *queue, const struct sqs_message *message);
void sqs_held_wait(struct sqs_held *held, uint64_t job);
/** `job` is in `state` now. */
void sqs_held_job(struct sqs_queues *all, uint64_t job, enum job_state state);
/** Nothing of it is under way any more: wait for its jobs, or delete it. */
void sqs_held_settle(struct sqs_held *held);
/** Not ours any more: it comes again when its time is over. */
void sqs_held_let_go(struct sqs_held *held);
/** One of its calls is back: it may have been the last claim on it. */
void sqs_held_release(struct sqs_held *held);

/* sqs_lease.c */
void sqs_lease_begin(struct sqs_held *held);
void sqs_lease_delete(struct sqs_held *held);
void sqs_lease_unlist(struct sqs_held *held);
/** Everything that is due; the time of what is due next into `*next_ms`. */
void sqs_lease_tick(struct sqs_queue *queue, int64_t now_ms, int64_t *next_ms);
/** Make everything that is held visible again; what is done is deleted first. */
void sqs_lease_give_back(struct sqs_queues *all);
/** Wait no longer for what was sent. */
void sqs_lease_cancel(struct sqs_queues *all);
