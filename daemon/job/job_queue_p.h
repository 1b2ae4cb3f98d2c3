/** @file
 * Private to the queue: job_queue.c decides what starts, job_run.c takes one job through one stage,
 * job_tell.c serves wishes about one job, job_revise.c compares finished jobs with the catalog.
 *
 * Thread:     the loop's.
 */
#pragma once

#include "daemon/job/job_p.h"
#include "daemon/job/job_queue.h"
#include "daemon/services.h"

#define QUEUE_WINDOW 64
#define QUEUE_STAGES_MAX 8
#define QUEUE_WAITING_MAX 10000u /* In memory at once, for others. */

/** The rests that a stage leaves: the lines that jobs stand in. */
enum queue_line { LINE_QUEUED, LINE_CRAWLED, LINE_EXTRACTED, LINE_COUNT };

/** A job at rest that may start, as far as was known when it was read. */
struct ready {
    struct job *job;
    int64_t order_ms;
};

/** The head of a line, ascending by order; big and small jobs stand in lines of their own. */
struct window {
    struct ready items[QUEUE_WINDOW];
    unsigned count;
    bool more; /**< state.db may hold others, behind these. */
};

/** What somebody wants of one job. */
struct wish {
    struct wish *next;
    enum job_event event;
    char *reason;
    const char *actor;
    job_queue_done_fn *done;
    void *arg;
};

/** A job in memory because something is being done with it. There is at most one an object. */
struct entry {
    struct job_queue *queue;
    struct entry *next;
    struct job *job; /**< NULL while LOADING. */
    uint64_t id, object;
    int64_t order_ms;
    bool big, tiny;

    const struct job_stage *stage; /**< NULL: no stage, only a move. */
    enum queue_line line;          /**< Whose slot it takes, with a stage. */
    /** STUCK: its last move could not be recorded; it is tried again. */
    enum { LOADING, STARTING, WORKING, ENDING, STUCK, WISHING } step;
    bool stop_asked;
    bool waits;           /**< For somebody else: it takes no slot. */
    enum job_event event; /**< How it ended; with `note`, whose strings are in the job's arena. */
    struct job_note note;

    struct wish *wishes;
    unsigned attempts; /**< Of a wish that lost a race. */
};

struct job_queue {
    struct services *services;
    const struct job_stage *stages[QUEUE_STAGES_MAX];
    unsigned stage_count;

    struct window windows[LINE_COUNT][2]; /**< [line][big] */
    struct entry *entries;
    struct loop_timer
        *wake;          /**< The next job whose backoff ends, or the next try of what is stuck. */
    int64_t wake_at_ms; /**< When that is (monotonic); 0: not armed. */
    int64_t hold_until_ms; /**< Nothing starts until then (monotonic): the store refuses. */

    bool started, paused, stopping;
    bool looking, look_again; /**< A read of the lines is under way; another is wanted. */
    bool pump_due;
    loop_fn *stopped;
    void *stopped_arg;
    int64_t told_full_ms; /**< Last complaint about a full disk (monotonic). */

    uint64_t generation; /**< Counts changes of the catalog. */
    struct job_revise *revise;
};

/* job_queue.c */
struct entry *queue_entry_new(struct job_queue *queue, uint64_t id);
/** Its end. A job that now rests in a line goes back there. */
void queue_entry_release(struct entry *entry);
struct entry *queue_entry_find(const struct job_queue *queue, uint64_t id);
/** Start what may start, later. */
void queue_pump(struct job_queue *queue);
/** Look at state.db again in `delay_ms`, unless a look is due before. */
void queue_wake_in(struct job_queue *queue, int64_t delay_ms);
/** Drop the job from the windows: its row is about to change. */
void queue_forget(struct job_queue *queue, uint64_t id);
bool queue_line_of(enum job_state state, enum queue_line *ret_line);

/* job_run.c */
/** Take over a ready job: record STARTED, run the stage, record how it ended. */
void queue_run(struct job_queue *queue, struct job *job, int64_t order_ms, bool big,
               enum queue_line line);
/** Record RETRY_DUE. */
void queue_retry_due(struct job_queue *queue, struct job *job, int64_t order_ms, bool big);
/** Ask it to wind down. */
void queue_stop_entry(struct entry *entry);
/** Try to record again what could not be recorded. */
void queue_unstick(struct entry *entry);
/** Its move is over: serve wishes, then release. */
void queue_entry_settle(struct entry *entry);

/* job_tell.c */
/** Serve the first wish of an entry whose job is at rest; settles it again afterwards. */
void queue_wish_serve(struct entry *entry);

/* job_revise.c */
struct job_revise *job_revise_new(struct job_queue *queue);
void job_revise_free(struct job_revise *revise);
/** Compare every finished or waiting job. Coalesced. */
void job_revise_all(struct job_revise *revise);
/** Look only who was refused a key that is free now. Coalesced. */
void job_revise_blocked(struct job_revise *revise);
/** Compare this one; it ended under a catalog that was changing. */
void job_revise_one(struct job_revise *revise, uint64_t id);
/** Something is being compared, or is about to be. */
bool job_revise_busy(const struct job_revise *revise);
/** A read is under way, which the queue's end must wait for. */
bool job_revise_reading(const struct job_revise *revise);
