/** @file
 * When to try again, as the AWS SDKs do (botocore's retries/standard.py, the mode "standard"):
 * full jitter under a cap, and a token bucket that a storm of failures empties, so that a service
 * in trouble is not beaten by our retries. Pure.
 *
 * Thread:     any; a bucket belongs to one thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define RETRY_ATTEMPTS 3
#define RETRY_FIRST_MS 1000
#define RETRY_CAP_MS 20000
#define RETRY_TOKENS 500
#define RETRY_COST 5
#define RETRY_COST_TIMEOUT 10
#define RETRY_REFUND 1 /**< Of a first try that went well. */

enum retry_reason { RETRY_NONE, RETRY_TRANSIENT, RETRY_THROTTLE, RETRY_TIMED_OUT };

struct retry_bucket {
    unsigned tokens;
};
#define RETRY_BUCKET_FULL ((struct retry_bucket){.tokens = RETRY_TOKENS})

/** Take the tokens of one retry; false when there are not enough. `ret_taken` goes back with
 * retry_bucket_refund() when the retry went well. */
bool retry_bucket_take(struct retry_bucket *bucket, enum retry_reason reason, unsigned *ret_taken);
/** `taken` 0: a first try that went well. */
void retry_bucket_refund(struct retry_bucket *bucket, unsigned taken);
/** Before attempt `attempt` + 1 (the first is 1): evenly between 0 and min(2^(attempt-1) *
 * `first_ms`, cap). `random` is any 64 bits. */
int64_t retry_delay_ms(unsigned attempt, int64_t first_ms, uint64_t random);
