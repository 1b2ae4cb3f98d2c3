/** @file
 * The life of a job: one object, one version, one way through the pipeline.
 *
 *      rest            stage            next rest
 *      QUEUED      ->  CRAWLING     ->  CRAWLED
 *      CRAWLED     ->  EXTRACTING   ->  EXTRACTED
 *      EXTRACTED   ->  PUBLISHING   ->  DONE
 *      QUEUED      ->  RETIRING     ->  RETIRED       (the object is gone from its source)
 *
 *      a stage that is DEFERRED goes to BACKOFF, and from there to the rest it left
 *                      REJECTED goes to QUARANTINED
 *                      STOPPED  goes to the rest it left   (shutdown, crash, before a cancel)
 *                      HELD     goes to WAITING            (extraction lacks its catalog rows)
 *                      EXCLUDED goes to SKIPPED            (nothing in it is selected)
 *                      LOST     goes to QUEUED             (catalog.db or a draft was taken away)
 *
 * The grammar of the names is the design:
 *   -ING  a stage at work: owns sockets, files or threads; never survives a restart.
 *         (WAITING is the one exception by name: it is a rest, it waits for the catalog.)
 *   -ED   a rest: owns nothing, its result is on disk; a restart resumes from here.
 *
 * Every edge is one row of job_edges[] in job_state.c; there is no other way to change state. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/rc.h"

/** END: nothing moves it by itself; an operator, or a newer catalog, may. */
enum job_kind { JOB_KIND_REST, JOB_KIND_STAGE, JOB_KIND_END };

/* clang-format off */
#define JOB_STATE_MAP(X)                                                             \
    X(QUEUED,      REST,  "known and accepted; nothing was done yet")                \
    X(CRAWLING,    STAGE, "finding out what it is, its schema and its layout")       \
    X(CRAWLED,     REST,  "its table is in the data catalog")                        \
    X(WAITING,     REST,  "a SEVIR file whose rows the catalog does not have yet")   \
    X(EXTRACTING,  STAGE, "turning selected bytes into rows and pictures")           \
    X(EXTRACTED,   REST,  "its outputs are stored; the manifest is not")             \
    X(PUBLISHING,  STAGE, "storing the manifest, registering partitions and rows")   \
    X(RETIRING,    STAGE, "removing what was made from an object that is gone")      \
    X(BACKOFF,     REST,  "a stage failed in a way that time may mend")              \
    X(DONE,        END,   "published")                                               \
    X(RETIRED,     END,   "its object is gone, and so is what was made from it")     \
    X(SKIPPED,     END,   "nothing in it is selected")                               \
    X(SUPERSEDED,  END,   "a newer version of the object took its place")            \
    X(QUARANTINED, END,   "it failed in a way that time will not mend")              \
    X(CANCELED,    END,   "an operator gave it up")

#define JOB_EVENT_MAP(X)                                                             \
    X(STARTED,   "a stage took the job")                                             \
    X(FINISHED,  "its result is on disk")                                            \
    X(DEFERRED,  "it failed; time may help")                                         \
    X(REJECTED,  "it failed; time will not help")                                    \
    X(STOPPED,   "it wound down because we asked, or the daemon died")               \
    X(HELD,      "it lacks its rows of the catalog")                                 \
    X(EXCLUDED,  "the selection wants nothing of it")                                \
    X(LOST,      "what the stage before had left is not there any more")             \
    X(RETRY_DUE, "the backoff is over")                                              \
    X(RELEASED,  "the catalog has its rows now")                                     \
    X(REVISED,   "its rows of the catalog, or the selection, changed after its end") \
    X(OVERTAKEN, "a newer version of its object was sighted")                        \
    X(CANCEL,    "an operator gave it up")                                           \
    X(RETRY,     "an operator wants it run again from the start")
/* clang-format on */

enum job_state {
#define X(name, kind, text) JOB_##name,
    JOB_STATE_MAP(X)
#undef X
        JOB_STATE_COUNT, /* not a state */
    JOB_RESUME,          /* in job_edges[] only: the rest this job last left */
};

enum job_event {
#define X(name, text) JOB_EV_##name,
    JOB_EVENT_MAP(X)
#undef X
        JOB_EVENT_COUNT /* not an event */
};

/** What kind of thing happened to the object. */
enum job_action { JOB_INGEST, JOB_RETIRE };

struct job_edge {
    enum job_state from;
    enum job_event on;
    enum job_state to;
};
extern const struct job_edge job_edges[];
extern const unsigned job_edge_count;

/** NULL when the table has no such edge. QUEUED + STARTED leads to RETIRING for JOB_RETIRE. */
const struct job_edge *job_edge_find(enum job_state from, enum job_event on,
                                     enum job_action action);

const char *job_state_name(enum job_state state);
const char *job_state_text(enum job_state state);
bool job_state_parse(const char *name, enum job_state *ret_state);
enum job_kind job_state_kind(enum job_state state);
const char *job_event_name(enum job_event event);
const char *job_event_text(enum job_event event);
