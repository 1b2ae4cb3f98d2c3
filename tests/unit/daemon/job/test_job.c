/** @file
 * What is pure about jobs: backoff, order, error classes, digests.
 */
#include "tests/unit.h"

#include <string.h>

#include "daemon/job/job_digest.h"
#include "daemon/job/job_p.h"
#include "lib/base/mem.h"

static void a_backoff_lies_between_nothing_and_its_doubling_limit(void **state)
{
    (void)state;
    for (uint64_t random = 0; random < 5000; random += 7) {
        assert_in_range(job_backoff_ms(1, 100, 10000, random), 0, 100);
        assert_in_range(job_backoff_ms(3, 100, 10000, random), 0, 400);
        assert_in_range(job_backoff_ms(99, 100, 10000, random), 0, 10000);
    }
    assert_int_equal(job_backoff_ms(3, 100, 10000, 400), 400);
    assert_int_equal(job_backoff_ms(3, 100, 10000, 401), 0);
    assert_int_equal(job_backoff_ms(8, 100, 10000, 10000), 10000);
    assert_int_equal(job_backoff_ms(1, 500, 100, 100), 100); /* a cap below the base holds */
}

static void a_backoff_does_not_overflow(void **state)
{
    (void)state;
    assert_in_range(job_backoff_ms(4000000000u, INT64_MAX / 2, INT64_MAX, UINT64_MAX), 0,
                    INT64_MAX);
}

static void the_class_of_an_error_decides_what_it_means(void **state)
{
    struct job_note note;
    struct err err;

    (void)state;
    err_set(&err, RC_NETWORK, "down");
    assert_int_equal(job_failure(&err, &note), JOB_EV_DEFERRED);
    assert_int_equal(note.rc, RC_NETWORK);
    assert_string_equal(note.reason, "down");
    err_set(&err, RC_CORRUPT, "bits");
    assert_int_equal(job_failure(&err, &note), JOB_EV_REJECTED);
    err_set(&err, RC_CANCELED, "asked");
    assert_int_equal(job_failure(&err, &note), JOB_EV_STOPPED);
    assert_int_equal(note.rc, RC_OK);
}

static void a_big_file_stands_behind_small_ones_but_not_for_ever(void **state)
{
    const uint64_t gib = (uint64_t)1 << 30;
    const int64_t big = job_order_ms("a.h5", 16 * gib, JOB_INGEST, 0);

    (void)state;
    assert_true(job_order_ms("b.h5", 1000, JOB_INGEST, 1000) < big);
    assert_true(job_order_ms("b.h5", 1000, JOB_INGEST, 120000) > big);
    assert_true(job_order_ms("b.h5", UINT64_MAX, JOB_INGEST, 0) < 1000000);
}

static void what_may_be_a_catalog_goes_first(void **state)
{
    (void)state;
    assert_true(job_order_ms("x/CATALOG.CSV", 30000000, JOB_INGEST, 60000) <
                job_order_ms("a.h5", 10, JOB_INGEST, 0));
    assert_true(job_order_ms("c.csv.gz", 10, JOB_INGEST, 60000) <
                job_order_ms("a.h5", 10, JOB_INGEST, 0));
}

static void the_digest_tells_rows_and_selection_apart(void **state)
{
    struct selection all = {0}, some = {.limit = 5};
    char a[DIGEST_HEX], b[DIGEST_HEX];

    (void)state;
    job_rows_digest("aa", &all, a);
    job_rows_digest("aa", &all, b);
    assert_string_equal(a, b);
    job_rows_digest("ab", &all, b);
    assert_string_not_equal(a, b);
    job_rows_digest("aa", &some, b);
    assert_string_not_equal(a, b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_backoff_lies_between_nothing_and_its_doubling_limit),
        cmocka_unit_test(a_backoff_does_not_overflow),
        cmocka_unit_test(the_class_of_an_error_decides_what_it_means),
        cmocka_unit_test(a_big_file_stands_behind_small_ones_but_not_for_ever),
        cmocka_unit_test(what_may_be_a_catalog_goes_first),
        cmocka_unit_test(the_digest_tells_rows_and_selection_apart),
    };
    return cmocka_run_group_tests_name("job", tests, NULL, NULL);
}
