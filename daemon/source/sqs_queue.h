/** @file
 * Queues as a source: SQS tells of objects, through S3 itself, SNS or EventBridge.
 *
 * A message is received when the jobs that it may mean can start, turned into sightings, and held
 * until all jobs that these mean are at an end (DONE, SKIPPED, QUARANTINED, or what nothing more
 * comes of). Then it is deleted. Meanwhile its lease is extended, from its own deadline, in
 * batches. A message that is already known to be done with is deleted at once, so one that comes
 * twice, or again after a crash, costs little. What cannot be read is kept in state.db before it is
 * deleted.
 *
 * A lease that is lost, or has come to SQS's 12 hours, is let go: the message comes again, to this
 * daemon or to another, and is attached to the job that is known by then.
 *
 * Thread:     the loop's.
 * Completion: `rested` later, from the loop.
 * Ownership:  the caller owns the queues until sqs_queues_free().
 */
#pragma once

#include "daemon/intake/envelope.h"
#include "daemon/source/source.h"

struct services;
struct sqs_queues;

/** What nobody but a test changes. */
struct sqs_limits {
    int64_t wall_ms;   /**< From the receive until no lease is given any more. */
    int64_t linger_ms; /**< A deletion waits for others to fill its batch. */
    int64_t retry_ms;  /**< After the first failure; doubles. */
    int64_t stop_ms;   /**< At the end: for what is under way, and again for what is given back. */
};
extern const struct sqs_limits sqs_limits_default;

typedef void sqs_rested_fn(void *arg);

/** One a queue of `sources.sqs.queue_url`; NULL when there is none. */
struct sqs_queues *sqs_queues_new(struct services *services, const struct sqs_limits *limits,
                                  sqs_rested_fn *rested, void *arg);
/** Requires: sqs_queues_busy() is false. `queues` may be NULL. */
void sqs_queues_free(struct sqs_queues *queues);
void sqs_queues_start(struct sqs_queues *queues);
/** While paused nothing is received; what is held stays held, and is deleted when it is done. */
void sqs_queues_pause(struct sqs_queues *queues, bool paused);
/** Something that was in the way (a pause of the jobs, a full budget) may be gone. */
void sqs_queues_wake(struct sqs_queues *queues);
/** What is held is given back, visible at once to others; `rested` when that is done or given up.
 */
void sqs_queues_stop(struct sqs_queues *queues);
bool sqs_queues_busy(const struct sqs_queues *queues);
/** Nothing is on its way from a queue: the last receive of each was empty, or failed. */
bool sqs_queues_idle(const struct sqs_queues *queues);
/** Who is told of Glue's events; NULL: nobody, they are acknowledged. */
void sqs_queues_on_glue(struct sqs_queues *queues, source_glue_fn *fn, void *arg);

unsigned sqs_queues_count(const struct sqs_queues *queues);
void sqs_queues_status(const struct sqs_queues *queues, unsigned index,
                       struct source_queue *ret_status);
