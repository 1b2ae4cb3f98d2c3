/** @file
 * The ledger of an object: a set of keys on disk.
 */
#include "tests/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "daemon/job/job_ledger.h"
#include "lib/base/str.h"

static char dir[64];

static int make_dir(void **state)
{
    (void)state;
    snprintf(dir, sizeof(dir), "/tmp/test_job_ledger.XXXXXX");
    return mkdtemp(dir) == NULL;
}

static int remove_dir(void **state)
{
    (void)state;
    scoped(free) char *inner = str_printf("%s/ledgers", dir);

    rmdir(inner);
    return rmdir(dir);
}

static void keys_are_united_sorted_and_kept_once(void **state)
{
    (void)state;
    static const char *const first[] = {"b", "a\nnewline", "c"};
    static const char *const second[] = {"c", "aa", "b"};
    scoped(job_ledger_free) struct job_ledger *ledger = NULL;
    struct err err;

    assert_int_equal(job_ledger_add(dir, "x.h5", first, 3, &err), RC_OK);
    assert_int_equal(job_ledger_add(dir, "x.h5", second, 3, &err), RC_OK);
    assert_int_equal(job_ledger_read(dir, "x.h5", &ledger, &err), RC_OK);
    assert_int_equal(ledger->count, 4);
    assert_string_equal(ledger->keys[0], "a\nnewline");
    assert_string_equal(ledger->keys[1], "aa");
    assert_string_equal(ledger->keys[3], "c");
    assert_int_equal(job_ledger_remove(dir, "x.h5", &err), RC_OK);
}

static void every_object_has_its_own(void **state)
{
    (void)state;
    static const char *const keys[] = {"k"};
    scoped(job_ledger_free) struct job_ledger *other = NULL;
    struct err err;

    assert_int_equal(job_ledger_add(dir, "x.h5", keys, 1, &err), RC_OK);
    assert_int_equal(job_ledger_read(dir, "y.h5", &other, &err), RC_OK);
    assert_int_equal(other->count, 0);
    assert_int_equal(job_ledger_remove(dir, "x.h5", &err), RC_OK);
}

static void removing_none_is_no_error(void **state)
{
    (void)state;
    struct err err;

    assert_int_equal(job_ledger_remove(dir, "never", &err), RC_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_united_sorted_and_kept_once),
        cmocka_unit_test(every_object_has_its_own),
        cmocka_unit_test(removing_none_is_no_error),
    };
    return cmocka_run_group_tests_name("job_ledger", tests, make_dir, remove_dir);
}
