/** @file
 * Intake: from sightings to jobs. Every source produces the same struct; what becomes of it is
 * decided here, in one transaction of state.db: dedupe by version, order, filter, supersede,
 * retire.
 *
 * Thread:     the loop's.
 * Completion: `done` later, exactly once a batch, when the jobs it made are durable. Sources wait
 * for it before they go on, so a million keys are never in memory.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/rc.h"

struct intake;
struct services;

#define SIGHTING_SOURCE_MAP(X) \
    X(LIST, "list") X(WATCH, "watch") X(SQS, "sqs") X(SUBMIT, "submit") X(RECONCILE, "reconcile")
enum sighting_source {
#define X(name, text) SIGHTING_##name,
    SIGHTING_SOURCE_MAP(X)
#undef X
        SIGHTING_SOURCE_COUNT
};

/** QUEUED: a new job. KNOWN: this version is or was a job. OLDER: a newer version is known.
 * REQUEUED: a finished job runs again. RETIRING: the object is gone; a job removes what was made
 * from it. IGNORED: by the filter, or a deletion of something unknown. REFUSED: the key breaks a
 * rule. */
#define SIGHTING_OUTCOME_MAP(X) \
    X(QUEUED, "queued")         \
    X(KNOWN, "known")           \
    X(OLDER, "older")           \
    X(REQUEUED, "requeued") X(RETIRING, "retiring") X(IGNORED, "ignored") X(REFUSED, "refused")
enum sighting_outcome {
#define X(name, text) OUTCOME_##name,
    SIGHTING_OUTCOME_MAP(X)
#undef X
        SIGHTING_OUTCOME_COUNT
};

/** "Bucket B has object K, version V, of this size, etag, sequencer", or: it is gone. */
struct sighting {
    enum sighting_source source;
    bool gone; /**< Deleted at the source; etag and size are then unknown. */
    const char *bucket, *key, *version, *etag, *sequencer; /**< "" where there is none. */
    uint64_t size;
    int64_t modified_ms; /**< The object's own time. */
    int64_t event_ms;    /**< When the source says it happened; 0: `modified_ms`. */
};

struct intake_result {
    enum sighting_outcome outcome;
    uint64_t job; /**< 0 when there is none. */
};

/** `results[i]` is what became of sighting i; NULL on error. */
typedef void intake_done_fn(const struct intake_result *results, unsigned count,
                            const struct err *err, void *arg);

struct intake *intake_new(struct services *services);
/** Requires: no batch under way. */
void intake_free(struct intake *intake);
/** The sightings are copied. At most 1,000 a batch. */
void intake_sight(struct intake *intake, const struct sighting *sightings, unsigned count,
                  intake_done_fn *done, void *arg);
/** Batches are decided one after another, in the order of asking. `intake_busy`: one is under way.
 */
bool intake_busy(const struct intake *intake);
/** What is on record of a key, as far as a listing needs it. */
struct intake_known {
    const char *key;
    const char *version, *etag; /**< "" of a key that was refused. */
};
/** Keys of `bucket` after `after` whose object is live (its last sighting was not a deletion) or
 * that were refused, in byte order: for a listing to notice what is gone, and to pass by what has
 * not changed. Runs on the read lane. `known` is borrowed. */
typedef void intake_known_fn(const struct intake_known *known, unsigned count,
                             const struct err *err, void *arg);
void intake_known(struct intake *intake, const char *bucket, const char *after, unsigned max,
                  intake_known_fn *done, void *arg);
/** Pure: whether a sighting of the object in this version would be OUTCOME_KNOWN. */
bool intake_is_known(const struct intake_known *known, const char *version, const char *etag);
/** Which place (store_place()) the objects of `bucket` were last seen in: "" when that was never
 * noted. `place` is borrowed. */
typedef void intake_place_fn(const char *place, const struct err *err, void *arg);
void intake_place(struct intake *intake, const char *bucket, intake_place_fn *done, void *arg);
/** Note it. A failure is logged. */
void intake_place_note(struct intake *intake, const char *bucket, const char *place);
const char *sighting_source_name(enum sighting_source source);
const char *sighting_outcome_name(enum sighting_outcome outcome);
