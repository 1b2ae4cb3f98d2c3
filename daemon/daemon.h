/** @file
 * The daemon: what is started in which order, its mirror at the end, and what an operator may ask.
 *
 * Start: configuration, log, loop and lanes, budget, metrics, lock and state, stores, catalog,
 * queue, intake, servers, and when all of them stand: the queue's first look, the source. The end
 * is the same list backwards. Nothing outside daemon.c knows the whole.
 *
 * Thread:     the loop's, but for daemon_run(), which becomes it.
 * Completion: each `done` runs later, exactly once; `err` is NULL on success, else borrowed for the
 *             call. daemon_pause(), daemon_drain() and daemon_stop() act at once.
 * Ownership:  strings passed in are copied; what a `done` is given is borrowed for the call.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "daemon/intake/intake.h"
#include "daemon/job/job_state.h"
#include "daemon/services.h"
#include "daemon/source/source.h"

struct daemon;

#define DAEMON_PHASE_MAP(X)                                             \
    X(STARTING, "starting") /* services are being made */               \
    X(RUNNING, "running")   /* sources look, stages start */            \
    X(DRAINING, "draining") /* sources are shut, the queue empties */   \
    X(DRAINED, "drained")   /* nothing is left to do; `resume` opens */ \
    X(STOPPING, "stopping") /* on the way out */

enum daemon_phase {
#define X(name, text) DAEMON_##name,
    DAEMON_PHASE_MAP(X)
#undef X
        DAEMON_PHASE_COUNT
};
const char *daemon_phase_name(enum daemon_phase phase);

/** The exit codes of `sevird`. */
enum daemon_exit { DAEMON_EXIT_OK = 0, DAEMON_EXIT_FAILED = 1, DAEMON_EXIT_USAGE = 2 };

/** Run until a signal or daemon_stop() ends it. Takes `conf` over; `config_path` is read again by a
 * reload. What could not be started is told on standard error in one line, `sevird: ...`. */
enum daemon_exit daemon_run(const char *config_path, struct conf *conf);

/* What the servers ask for. */

/** No new stage starts; what runs goes on, sources go on. Told twice is no error. `false` resumes,
 * and ends a drain. */
void daemon_pause(struct daemon *daemon, bool paused);
/** Stop taking sightings from sources and finish what is queued; then stay, idle, in DRAINED, until
 * daemon_pause(daemon, false). Sightings by hand are refused meanwhile. */
void daemon_drain(struct daemon *daemon);
/** As SIGTERM does. */
void daemon_stop(struct daemon *daemon);

typedef void daemon_done_fn(const struct err *err, void *arg);
/** Read the configuration again. A wrong file, or a change that needs a restart (RC_INVALID names
 * the option), leaves the old one in force. */
void daemon_reload(struct daemon *daemon, daemon_done_fn *done, void *arg);

/** Counts of one full listing compared with the journal. */
struct daemon_reconciled {
    uint64_t listed;  /**< Objects in the raw store. */
    uint64_t known;   /**< Whose version the journal had. */
    uint64_t missing; /**< New jobs: what every other source had missed. */
    uint64_t gone;    /**< In the journal, no longer in the store: retiring. */
    uint64_t refused; /**< Keys that break a rule. */
};
/** The last one since the start, and when it ended; 0: none yet. */
int64_t daemon_last_reconciled(const struct daemon *daemon, struct daemon_reconciled *ret_counts);
typedef void daemon_reconciled_fn(const struct daemon_reconciled *counts, const struct err *err,
                                  void *arg);
/** RC_CONFLICT when one is under way. */
void daemon_reconcile(struct daemon *daemon, daemon_reconciled_fn *done, void *arg);

/** `key` and `result` are valid when `err` is NULL. */
typedef void daemon_submitted_fn(const char *key, const struct intake_result *result,
                                 const struct err *err, void *arg);
/** A sighting by hand of one object of the raw store: `uri` is a full URI under it, an absolute
 * path under a file store's root, or a key. RC_INVALID when it lies elsewhere, RC_NOT_FOUND when
 * there is no such object (and none was known: an object that is gone is sighted as gone). */
void daemon_submit(struct daemon *daemon, const char *uri, daemon_submitted_fn *done, void *arg);
/** The key in the raw store that `uri` (as above) means, for explain and retry; caller frees. */
enum rc daemon_key_of(const struct daemon *daemon, const char *uri, char **ret_key,
                      struct err *err);

/** One look; cheap, no query. Strings are borrowed until the loop turns. */
struct daemon_status {
    enum daemon_phase phase;
    bool paused;
    bool idle;   /**< Nothing queued, working or backing off, and the first listing is through. */
    bool listed; /**< The first listing is through: what is in the store is known. */
    int64_t started_ms;  /**< Wall clock. */
    int64_t reloaded_ms; /**< Last successful reload; 0: none. */
    const char *config_path;
    unsigned working; /**< Jobs in a stage. */
    uint64_t jobs[JOB_STATE_COUNT];
    uint64_t quarantined_since_start;
    uint64_t refused;   /**< Keys on record that break a rule (table `refused` of state.db). */
    unsigned recovered; /**< Moves that boot applied. */
    const char
        *error; /**< Of the last thing that failed (a source, a reload), "" when all is well. */
    int64_t error_ms;
};
void daemon_status(const struct daemon *daemon, struct daemon_status *ret_status);
/** A way in which the daemon hears of objects, as it is now. Strings are borrowed until the loop
 * turns. */
struct daemon_source {
    const char *name;           /**< "list", "watch" */
    bool on;                    /**< Configured, and at work. */
    bool looking;               /**< A look is under way. */
    bool counted;               /**< The five counts below mean something. */
    uint64_t looks;             /**< Complete ones. */
    int64_t began_ms, ended_ms; /**< Wall clock, of the last complete one; 0: none. */
    uint64_t listed, known, queued, gone, refused; /**< In it. */
    unsigned watches, settling;
    uint64_t overflows; /**< Times that notices were lost and a listing stood in. */
    const char *error;  /**< "" while all is well. */
    int64_t error_ms;   /**< Since when. */
};
#define DAEMON_SOURCES 4
/** How many were written. */
unsigned daemon_sources(const struct daemon *daemon, struct daemon_source ret[DAEMON_SOURCES]);

/** One queue: see daemon/source/source.h. False when there are not so many. */
bool daemon_queue(const struct daemon *daemon, unsigned index, struct source_queue *ret_queue);

/** For /readyz: RUNNING, DRAINING or DRAINED, and the state writer answers. */
bool daemon_ready(const struct daemon *daemon);

/** A listening socket that systemd passed, by its FileDescriptorName ("control", "http"); -1: none.
 * The caller owns it from then on. */
int daemon_take_socket(struct daemon *daemon, const char *name);
