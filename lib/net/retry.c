#include "lib/net/retry.h"

#include "lib/base/mem.h"

#define FIRST_MS 1000

bool retry_bucket_take(struct retry_bucket *bucket, enum retry_reason reason, unsigned *ret_taken)
{
    const unsigned cost = reason == RETRY_TIMED_OUT ? RETRY_COST_TIMEOUT : RETRY_COST;

    if (reason == RETRY_NONE || bucket->tokens < cost) {
        return false;
    }
    bucket->tokens -= cost;
    *ret_taken = cost;
    return true;
}

void retry_bucket_refund(struct retry_bucket *bucket, unsigned taken)
{
    const unsigned refund = taken > 0 ? taken : RETRY_REFUND;

    bucket->tokens += MIN_OF(refund, RETRY_TOKENS - bucket->tokens);
}

int64_t retry_delay_ms(unsigned attempt, uint64_t random)
{
    const unsigned doublings = attempt > 0 ? attempt - 1 : 0;
    const uint64_t cap = doublings < 6
                             ? MIN_OF((uint64_t)FIRST_MS << doublings, (uint64_t)RETRY_CAP_MS)
                             : RETRY_CAP_MS;

    return (int64_t)(((unsigned __int128)random * cap) >> 64);
}
