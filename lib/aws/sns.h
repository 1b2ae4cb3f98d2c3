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

/** RC_INVALID is said of this message only; RC_HOST where topic or configuration are wrong, and of
 * what is not known. */
typedef void sns_done_fn(const char *message_id, const struct err *err, void *arg);
/** `attributes` are strings, for subscription filters; the topic's region is in its ARN. */
struct aws_call *sns_publish(struct aws *aws, const char *topic_arn, const char *subject,
                             const char *message, const struct sigv4_pair *attributes,
                             unsigned attribute_count, sns_done_fn *done, void *arg);
