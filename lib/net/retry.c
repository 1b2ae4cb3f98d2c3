#include "lib/net/retry.h"

#include "lib/base/mem.h"

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

int64_t retry_delay_ms(unsigned attempt, int64_t first_ms, uint64_t random)
{
    uint64_t cap = (uint64_t)first_ms;

    for (unsigned i = 1; i < attempt && cap < RETRY_CAP_MS; i++) {
        cap *= 2;
    }
    return (int64_t)(((unsigned __int128)random * MIN_OF(cap, (uint64_t)RETRY_CAP_MS)) >> 64);
}
