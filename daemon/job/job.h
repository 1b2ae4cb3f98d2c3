/** @file
 * A job in memory, the one function that moves it, and what a stage is.
 *
 * A job is in memory only while something works on it or is about to; all others are rows of
 * state.db. Strings live in the job's arena.
 *
 * Thread:     the loop's.
 * Completion: job_move() records the move durably first; `done` runs later, when it has been
 * committed and observed (log, counter, event stream).
 */
#pragma once

#include "daemon/job/job_state.h"
#include "lib/base/arena.h"
#include "lib/base/str.h"
#include "lib/db/db.h"

struct job_store;

/** Bucket, key and version of the object, as sighted. */
struct job_object {
    uint64_t id; /**< Of `objects`: the same for every version of the key. */
    const char *bucket, *key;
    const char *version; /**< versionId; "" where the store has none. */
    const char *etag;
    const char *sequencer; /**< Of the notification; "" when there was none. */
    uint64_t size;
    int64_t modified_ms;
};

struct job {
    uint64_t id;
    struct job_object object;
    enum job_action action;
    enum job_state state;  /**< Changed by job_move() and nothing else. */
    enum job_state resume; /**< The rest it last left: QUEUED, CRAWLED or EXTRACTED. */
    unsigned failures;     /**< In a row, of the current stage. */
    int64_t sighted_ms, entered_ms, event_ms; /**< `event_ms`: when the source says it happened. */
    int64_t entered_mono_ms; /**< As `entered_ms`, for durations; 0 when it was another process. */
    char kind[16];   /**< What the crawl found: "", "hdf5", "csv", "catalog", "other". Set by the
                      * crawl   before it reports; recorded with the move. */
    char table[128]; /**< Of the data catalog; "" before the crawl. As `kind`. */
    char rows_digest[65]; /**< job_digest.h; "" before an extraction. */
    uint64_t outputs;     /**< That its manifest lists; set when it is published. */
    struct strbuf draft;  /**< Of its manifest (job_draft.h), until the move that records it. */
    struct arena *arena;
    struct job_store *store;
    uint64_t generation; /**< Of the catalog when its extraction began (queue); 0: not known. */
    void *work;          /**< The running stage's own; NULL at rest. */
};

/** Beside the move itself: why, for how long, and what else belongs in the same transaction. */
struct job_note {
    const char *reason;      /**< One line for people; NULL: none. */
    enum rc rc;              /**< Class of a DEFERRED or REJECTED; RC_OK otherwise. */
    int64_t retry_at_ms;     /**< DEFERRED. */
    bool waits;              /**< DEFERRED, but nothing failed: it is tried again at `retry_at_ms`,
                              *   and no attempt is used up. */
    const char *rows_digest; /**< Of the catalog rows and selection that an extraction used; NULL:
                              *   unchanged. */
    const char *actor;       /**< "operator", "boot"; NULL: "daemon". */
    const char *request_ids; /**< Of remote services, separated by spaces; NULL: none. */
    /** Run on the state writer inside the move's transaction (an outbox row); may be NULL. A move
     * that fails is tried again, so it may run more than once, of which one is committed;
     * `also_arg` must live as long as the job's arena, best in it. */
    enum rc (*also)(struct db *state, const struct job *job, void *arg, struct err *err);
    void *also_arg;
};

typedef void job_moved_fn(struct job *job, const struct err *err, void *arg);

/**
 * Move `job` along the edge that `event` names: record it, then log, count and publish it.
 *
 * The row is durable before anyone observes the new state, so a crash at any point replays into the
 * state on disk. On failure the job is unchanged and nobody was told. Compare-and-set on the row's
 * state, so two writers cannot both win (RC_CONFLICT). RC_BUG when the table has no such edge.
 * Strings of `note` are copied. `done` may be NULL.
 */
void job_move(struct job *job, enum job_event event, const struct job_note *note,
              job_moved_fn *done, void *arg);

/** How a stage ended. On FINISHED and the like `note` carries what the move should record. */
typedef void job_stage_done_fn(struct job *job, enum job_event event, const struct job_note *note,
                               void *arg);

struct services;

/** One stage of the pipeline; daemon/pipeline.c has the table. */
struct job_stage {
    const char *name; /**< "crawl", "extract", "publish", "retire": label of the duration metric. */
    enum job_state state;
    /** Begin; call `done` later, exactly once. The job stays in memory until then. */
    void (*start)(struct services *services, struct job *job, job_stage_done_fn *done, void *arg);
    /** Ask it to wind down; `done` still comes (JOB_EV_STOPPED if it did). */
    void (*stop)(struct job *job);
};

/** The event and note that an error means: DEFERRED or REJECTED by its retry class (STOPPED for
 * RC_CANCELED). The note borrows `err`. */
enum job_event job_failure(const struct err *err, struct job_note *ret_note);
/** Whether no further attempt of the job follows by itself; `attempts` are those it has in all. */
bool job_failure_is_final(const struct job *job, enum rc rc, unsigned attempts);

#define JOB_REASON_FOREIGN "published by another daemon"

/** On a lane: whether what is published of this very object, from these rows, is to be made again
 * when the job comes to it: an operator wants it again, or it was we who made it. */
enum rc job_makes_again(struct db *state, const struct job *job, const char *rows_digest,
                        bool *ret_again, struct err *err);

/** Milliseconds until failure number `failures` (from 1) is retried: full jitter, that is evenly
 * between 0 and base * 2^(failures-1), at most `cap_ms`. `random` is any 64 bits. Pure. */
int64_t job_backoff_ms(unsigned failures, int64_t base_ms, int64_t cap_ms, uint64_t random);
