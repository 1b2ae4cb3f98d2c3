/** @file
 * When to try again.
 */
#include "tests/unit.h"

#include "lib/net/retry.h"

static void a_storm_of_failures_empties_the_bucket(void **state)
{
    (void)state;
    struct retry_bucket bucket = RETRY_BUCKET_FULL;
    unsigned taken = 0, retries = 0;

    while (retry_bucket_take(&bucket, RETRY_TRANSIENT, &taken)) {
        assert_int_equal(taken, RETRY_COST);
        retries++;
    }
    assert_int_equal(retries, RETRY_TOKENS / RETRY_COST);
    assert_int_equal(bucket.tokens, 0);
    taken = 77;
    assert_false(retry_bucket_take(&bucket, RETRY_THROTTLE, &taken));
    assert_int_equal(taken, 77);
}

static void a_time_out_costs_more(void **state)
{
    (void)state;
    struct retry_bucket bucket = {.tokens = RETRY_COST_TIMEOUT - 1};
    unsigned taken;

    assert_false(retry_bucket_take(&bucket, RETRY_TIMED_OUT, &taken));
    assert_true(retry_bucket_take(&bucket, RETRY_TRANSIENT, &taken));
    assert_false(retry_bucket_take(&bucket, RETRY_NONE, &taken));
}

static void what_goes_well_fills_it_again_but_never_over(void **state)
{
    (void)state;
    struct retry_bucket bucket = {.tokens = RETRY_TOKENS - RETRY_COST};

    retry_bucket_refund(&bucket, 0);
    assert_int_equal(bucket.tokens, RETRY_TOKENS - RETRY_COST + RETRY_REFUND);
    retry_bucket_refund(&bucket, RETRY_COST);
    assert_int_equal(bucket.tokens, RETRY_TOKENS);
    retry_bucket_refund(&bucket, RETRY_COST_TIMEOUT);
    assert_int_equal(bucket.tokens, RETRY_TOKENS);
}

static void delays_spread_over_a_span_that_doubles_up_to_the_cap(void **state)
{
    (void)state;
    static const int64_t spans[] = {1000, 2000, 4000, 8000, 16000, 20000, 20000, 20000};

    for (unsigned i = 0; i < sizeof(spans) / sizeof(spans[0]); i++) {
        assert_int_equal(retry_delay_ms(i + 1, RETRY_FIRST_MS, 0), 0);
        assert_int_equal(retry_delay_ms(i + 1, RETRY_FIRST_MS, UINT64_MAX), spans[i] - 1);
        assert_int_equal(retry_delay_ms(i + 1, RETRY_FIRST_MS, UINT64_MAX / 2 + 1), spans[i] / 2);
    }
    assert_int_equal(retry_delay_ms(1000000, RETRY_FIRST_MS, UINT64_MAX), 19999);
    assert_true(retry_delay_ms(0, RETRY_FIRST_MS, UINT64_MAX) < 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_storm_of_failures_empties_the_bucket),
        cmocka_unit_test(a_time_out_costs_more),
        cmocka_unit_test(what_goes_well_fills_it_again_but_never_over),
        cmocka_unit_test(delays_spread_over_a_span_that_doubles_up_to_the_cap),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
