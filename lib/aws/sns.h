/** @file
 * SNS: publishing to a topic.
 *
 * Thread:     the loop's.
 * Completion: `done` later, exactly once. aws_cancel() asks.
 * Ownership:  as in aws.h.
 */
#pragma once

#include "lib/aws/aws.h"

#define SNS_MESSAGE_MAX (256u << 10)
#define SNS_SUBJECT_MAX 99 /**< Bytes of ASCII without control characters. */

/** Its name says so: AWS lets no other end in ".fifo". */
bool sns_is_fifo(const char *topic_arn);
/** RC_INVALID is said of this message only; RC_HOST where topic or configuration are wrong, and of
 * what is not known. */
typedef void sns_done_fn(const char *message_id, const struct err *err, void *arg);
/** `attributes` are strings, for subscription filters; the topic's region is in its ARN. `unique`
 * (at most 128 letters and digits) is for a FIFO topic, which takes the same one once in five
 * minutes, and delivers in the order of the calls that have ended. */
struct aws_call *sns_publish(struct aws *aws, const char *topic_arn, const char *subject,
                             const char *message, const char *unique,
                             const struct sigv4_pair *attributes, unsigned attribute_count,
                             sns_done_fn *done, void *arg);
