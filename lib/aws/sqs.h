/** @file
 * SQS by its JSON protocol, an operation a function.
 *
 * Thread:     the loop's.
 * Completion: `done` later, exactly once. aws_cancel() asks.
 * Ownership:  as in aws.h.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/aws/aws.h"

#define SQS_BATCH 10
#define SQS_VISIBILITY_MAX_S \
    43200 /**< 12 hours, from the receive on: extending does not reset it. */

struct sqs_message {
    const char *id;
    const char *handle; /**< Of this receive; an older one is stale. "": it came without one. */
    const char *body;
    /** "", or what makes it none: then `body` is all that came of it, and `id`, where it has none,
     * is a hash of that. */
    const char *fault;
    unsigned receive_count;
    int64_t sent_ms, first_received_ms;
};

typedef void sqs_messages_fn(const struct sqs_message *messages, unsigned count,
                             const struct err *err, void *arg);
/** At most `max` (1 to SQS_BATCH); waits up to `wait_s` (0 to 20) for the first. Given up when it
 * is silent for the client's idle time beyond that, or not done within 30 s beyond it. One that is
 * not what the protocol promises comes with the others. */
struct aws_call *sqs_receive(struct aws *aws, const char *queue_url, unsigned max, unsigned wait_s,
                             unsigned visibility_s, sqs_messages_fn *done, void *arg);

/** How one entry of a batch fared. */
enum sqs_fate {
    SQS_OK,
    SQS_AGAIN, /**< The service's fault: try this entry again. */
    SQS_STALE, /**< ReceiptHandleIsInvalid, MessageNotInflight: the lease is lost. */
    SQS_REFUSED
};
/** `fates[i]` is of entry i; NULL on error of the whole. `why` is of the first that is not SQS_OK.
 */
typedef void sqs_batch_fn(const enum sqs_fate *fates, unsigned count, const char *why,
                          const struct err *err, void *arg);
struct aws_call *sqs_delete(struct aws *aws, const char *queue_url, const char *const *handles,
                            unsigned count, sqs_batch_fn *done, void *arg);
/** `visibility_s` 0: visible again at once. */
struct aws_call *sqs_extend(struct aws *aws, const char *queue_url, const char *const *handles,
                            unsigned count, unsigned visibility_s, sqs_batch_fn *done, void *arg);

/** What one asks of a queue at the start; 0 or "" where it does not say. */
struct sqs_attributes {
    unsigned visibility_s;
    uint64_t messages, in_flight, delayed;
    const char *arn, *redrive_policy, *policy;
    unsigned retention_s;
};
typedef void sqs_attributes_fn(const struct sqs_attributes *attributes, const struct err *err,
                               void *arg);
struct aws_call *sqs_attributes(struct aws *aws, const char *queue_url, sqs_attributes_fn *done,
                                void *arg);
