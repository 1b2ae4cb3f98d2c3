/** @file
 * Result codes say what to do; errors say what happened, outermost first.
 */
#include "tests/unit.h"

#include <errno.h>
#include <string.h>

#include "lib/base/rc.h"

static void every_code_has_a_name_and_a_text(void **state)
{
    for (unsigned i = 0; i < RC_COUNT; i++) {
        assert_non_null(rc_name((enum rc)i));
        assert_true(strlen(rc_text((enum rc)i)) > 3);
        for (unsigned k = 0; k < i; k++) {
            assert_string_not_equal(rc_name((enum rc)i), rc_name((enum rc)k));
        }
    }
    assert_string_equal(rc_name(RC_NO_SPACE), "NO_SPACE");
    assert_string_equal(rc_name(RC_COUNT), "BUG");
}

static void what_may_pass_is_retried_and_what_is_wrong_is_not(void **state)
{
    assert_int_equal(rc_retry_class(RC_NO_SPACE), RETRY_BACKOFF);
    assert_int_equal(rc_retry_class(RC_CHANGED), RETRY_BACKOFF);
    assert_int_equal(rc_retry_class(RC_CORRUPT), RETRY_NEVER);
    assert_int_equal(rc_retry_class(RC_CRASHED), RETRY_NEVER);
    assert_int_equal(rc_retry_class(RC_COUNT), RETRY_NEVER);
}

static void context_is_put_in_front(void **state)
{
    struct err err;

    assert_int_equal(err_set(&err, RC_NETWORK, "status %d", 503), RC_NETWORK);
    assert_int_equal(err_wrap(&err, "fetch '%s'", "a/b.h5"), RC_NETWORK);
    assert_int_equal(err_wrap(&err, "job %d", 7), RC_NETWORK);
    assert_string_equal(err.text, "job 7: fetch 'a/b.h5': status 503");
    assert_int_equal(err.rc, RC_NETWORK);
}

static void an_error_may_quote_itself(void **state)
{
    struct err err;

    err_set(&err, RC_IO, "inner");
    err_set(&err, RC_CORRUPT, "outer of '%s'", err.text);
    assert_string_equal(err.text, "outer of 'inner'");
    err_wrap(&err, "again %s", err.text);
    assert_string_equal(err.text, "again outer of 'inner': outer of 'inner'");
}

static void errno_chooses_the_code_and_ends_the_text(void **state)
{
    static const struct {
        int number;
        enum rc rc;
    } cases[] = {
        {ENOSPC, RC_NO_SPACE},   {EDQUOT, RC_NO_SPACE}, {EACCES, RC_DENIED},
        {EPERM, RC_DENIED},      {EROFS, RC_DENIED},    {ENOENT, RC_NOT_FOUND},
        {ENOTDIR, RC_NOT_FOUND}, {EINVAL, RC_INVALID},  {ENAMETOOLONG, RC_INVALID},
        {ETIMEDOUT, RC_TIMEOUT}, {EIO, RC_IO},          {EMFILE, RC_HOST},
    };
    struct err err;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(err_errno(&err, cases[i].number, "open '%s'", "x"), cases[i].rc);
        assert_int_equal(err.rc, cases[i].rc);
    }
    err_errno(&err, ENOENT, "open '%s'", "x");
    assert_string_equal(err.text, "open 'x': No such file or directory");
}

static void a_text_too_long_shows_that_it_was_cut(void **state)
{
    struct err err;
    char big[2000];

    memset(big, 'a', sizeof(big) - 1);
    big[sizeof(big) - 1] = '\0';
    err_set(&err, RC_INVALID, "%s", big);
    assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
    assert_string_equal(err.text + sizeof(err.text) - 4, "...");
    err_wrap(&err, "outer");
    assert_memory_equal(err.text, "outer: aaa", 10);
    assert_string_equal(err.text + sizeof(err.text) - 4, "...");
}

static void a_text_is_never_empty(void **state)
{
    struct err err;

    err_set(&err, RC_CANCELED, "%s", "");
    assert_string_equal(err.text, "asked to stop");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_has_a_name_and_a_text),
        cmocka_unit_test(what_may_pass_is_retried_and_what_is_wrong_is_not),
        cmocka_unit_test(context_is_put_in_front),
        cmocka_unit_test(an_error_may_quote_itself),
        cmocka_unit_test(errno_chooses_the_code_and_ends_the_text),
        cmocka_unit_test(a_text_too_long_shows_that_it_was_cut),
        cmocka_unit_test(a_text_is_never_empty),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
