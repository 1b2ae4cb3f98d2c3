/** @file
 * Sources: how the daemon hears of objects in the raw store. Listing proves that nothing was
 * missed, watching (a file store, through inotify) is fast; both end as sightings at the intake.
 *
 * Nothing is sighted before it has settled: unchanged for `sources.settle`, and, in a file store,
 * not open for writing by anybody. What cannot be looked after one by one (a burst, an overflow) is
 * left to a listing.
 *
 * Thread:     the loop's.
 * Completion: `done` later, exactly once, from the loop.
 * Ownership:  the caller owns the source until the `done` of source_stop(), which frees it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/rc.h"

struct envelope_glue;
struct services;
struct source;

/** One complete look at the store, by what the intake made of it. */
struct source_counts {
    uint64_t listed;   /**< Objects in the store. */
    uint64_t known;    /**< The journal had this version. */
    uint64_t queued;   /**< New jobs (QUEUED or REQUEUED). */
    uint64_t gone;     /**< Known, no longer in the store: RETIRING. */
    uint64_t refused;  /**< The key breaks a rule. */
    uint64_t settling; /**< Too young to be taken: looked at again when they are old enough. */
};

/** One queue. Counts are since the start; strings are the source's. */
struct source_queue {
    const char *url;
    unsigned held;     /**< Messages received and not deleted yet. */
    uint64_t received; /**< Messages. */
    uint64_t deleted;
    uint64_t lost;      /**< Leases. */
    uint64_t unread;    /**< Messages that could not be read, and are kept. */
    uint64_t ignored;   /**< Events of other buckets, keys or kinds. */
    uint64_t tests;     /**< Test events. */
    int64_t receive_ms; /**< Wall clock, of the last answer to a receive; 0: none yet. */
    int64_t message_ms; /**< Of the last message; 0: none yet. */
    const char *error;  /**< "" while all is well. */
    int64_t error_ms;
};

/** Plain data; strings are the source's and live until the loop turns. */
struct source_status {
    bool listed;           /**< A first listing has been through. */
    bool listing;          /**< One is under way. */
    uint64_t listings;     /**< Complete ones, with no error. */
    int64_t list_began_ms; /**< Wall clock, of the last complete one; 0: none. */
    int64_t list_ended_ms;
    struct source_counts last; /**< Of the last complete one. */
    bool watching;
    unsigned watches;   /**< Directories. */
    uint64_t overflows; /**< Times that watching fell back to listing. */
    unsigned settling;  /**< Objects waiting until they are old enough. */
    unsigned queues;    /**< See source_queue_status(). */
    const char *error;  /**< Of the last listing, of the watch or of a queue, "" while all is well.
                         */
    int64_t error_ms;   /**< When it began. */
};

/** Looks at once, and from then on. Never fails: what is wrong is in the status and in the log. */
struct source *source_start(struct services *services);
typedef void source_stopped_fn(void *arg);
/** Asks; `done` when nothing is under way any more. */
void source_stop(struct source *source, source_stopped_fn *done, void *arg);

/** While paused (drain) nothing is sighted; going on begins with a listing. */
void source_pause(struct source *source, bool paused);
/** The configuration was replaced. */
void source_reload(struct source *source);
/** List soon: some notice was lost. */
void source_list(struct source *source);

/** `counts` is NULL on error. */
typedef void source_reconciled_fn(const struct source_counts *counts, const struct err *err,
                                  void *arg);
/** One full listing in the name of SIGHTING_RECONCILE, after the one that may be under way; what it
 * queues is counted in METRIC_RECONCILE_MISSING. RC_CONFLICT while another one is asked for or the
 * source is paused; RC_CANCELED when it was stopped or paused meanwhile. */
void source_reconcile(struct source *source, source_reconciled_fn *done, void *arg);

void source_status(const struct source *source, struct source_status *ret_status);
/** `index` below `queues` of the status. */
void source_queue_status(const struct source *source, unsigned index,
                         struct source_queue *ret_status);
/** The jobs were paused or go on, the budget has changed: queues may receive again. */
void source_wake(struct source *source);
/** Who is told of Glue's events that come through the queues; NULL: nobody. */
typedef void source_glue_fn(const struct envelope_glue *event, void *arg);
void source_on_glue(struct source *source, source_glue_fn *fn, void *arg);
/** Whether everything that the store had a moment ago has been sighted: the first listing is
 * through, nothing settles, and neither a notice nor a listing asked for is waiting. */
bool source_idle(const struct source *source);
