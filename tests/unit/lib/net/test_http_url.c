/** @file
 * http_url.c: who may be spoken to without TLS, and whom the last URL vouches for.
 */
#include "tests/unit.h"

#include "lib/base/mem.h"
#include "lib/net/http_p.h"

static void plain_http_is_for_loopback_and_for_who_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *url, *allow;
        bool ok;
    } cases[] = {
        {"https://s3.amazonaws.com/x", NULL, true},
        {"HTTPS://s3.amazonaws.com", NULL, true},
        {"http://127.0.0.1:9000/x", NULL, true},
        {"http://127.9.8.7", NULL, true},
        {"http://localhost:1?x", NULL, true},
        {"http://LocalHost/", NULL, true},
        {"http://[::1]:80/", NULL, true},
        {"http://[::2]/", NULL, false},
        {"http://[::1", NULL, false},
        {"http://127.0.0.1.example.com/", NULL, false},
        {"http://localhost.example.com/", NULL, false},
        {"http://127.1/", NULL, false},
        {"http://0.0.0.0/", NULL, false},
        {"http://10.0.0.1/", NULL, false},
        {"http://169.254.169.254/latest/", NULL, true},
        {"http://[fd00:ec2::23]:80/v1", NULL, true},
        {"http://169.254.169.253/", NULL, false},
        {"http://169.254.169.254.example.com/", NULL, false},
        {"http://minio:9000/x", NULL, false},
        {"http://minio:9000/x", "a, minio", true},
        {"http://MINIO/", "minio", true},
        {"http://minio2/", "minio", false},
        {"http://mini/", "minio", false},
        {"http://anything/", "*", true},
        {"http://localhost@evil.com/", NULL, false},
        {"http://evil.com\\@localhost/", NULL, false},
        {"http://evil.com#@localhost/", NULL, false},
        {"https://user:secret@host/", NULL, false},
        {"http:///x", "*", false},
        {"http://", "*", false},
        {"ftp://127.0.0.1/", "*", false},
        {"file:///etc/passwd", "*", false},
        {"127.0.0.1/", "*", false},
        {"", "*", false},
        {"http://127.0.0.1/a b", NULL, false},
        {"http://127.0.0.1/a\nb", NULL, false},
    };

    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = {0};
        struct http_place place = {0};
        const enum rc rc = http_url_check(cases[i].url, cases[i].allow, &place, &err);

        if ((rc == RC_OK) != cases[i].ok) {
            fail_msg("'%s' with '%s': %s", cases[i].url, cases[i].allow, err.text);
        }
        assert_true(rc == RC_OK || rc == RC_INVALID);
        assert_null(strstr(err.text, "secret"));
        assert_true(place.is_new == (rc == RC_OK));
        assert_int_equal(http_url_check(cases[i].url, cases[i].allow, &place, &err), rc);
    }
}

static void a_place_that_is_known_vouches_for_no_other(void **state)
{
    static const char *const others[] = {
        "http://127.0.0.1.evil.com/", "http://127.0.0.1:90@evil.com/", "http://evil.com/",
        "http://127.0.0.1:90/a b", "http://127.0.0.1:90\\@evil.com/"};
    struct http_place place = {0};
    struct err err;

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(others); i++) {
        assert_int_equal(http_url_check("http://127.0.0.1:90/x", NULL, &place, &err), RC_OK);
        assert_string_equal(place.origin, "http://127.0.0.1:90");
        assert_true(place.loopback);
        assert_int_equal(http_url_check(others[i], NULL, &place, &err), RC_INVALID);
    }
    assert_int_equal(http_url_check("http://127.0.0.1:90/x", NULL, &place, &err), RC_OK);
    place.is_new = false;
    assert_int_equal(http_url_check("http://127.0.0.1:90?y", NULL, &place, &err), RC_OK);
    assert_false(place.is_new);
    assert_int_equal(http_url_check("http://127.0.0.1:901/", NULL, &place, &err), RC_OK);
    assert_true(place.is_new);
    assert_int_equal(http_url_check("https://127.0.0.1.example:90/x", NULL, &place, &err), RC_OK);
    assert_true(place.is_new && !place.loopback);
}

static void loopback_is_told_by_its_address(void **state)
{
    static const char *const near[] = {"127.0.0.1", "127.0.0.1:9000", "localhost:80", "[::1]:9",
                                       "127.9.9.9"};
    static const char *const far[] = {
        "128.0.0.1", "localhost.example", "[::2]:9", "169.254.169.254", "", "127.0.0.1.example:80"};

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(near); i++) {
        assert_true(http_is_loopback(near[i]));
    }
    for (unsigned i = 0; i < ARRAY_LEN(far); i++) {
        assert_false(http_is_loopback(far[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_http_is_for_loopback_and_for_who_is_named),
        cmocka_unit_test(a_place_that_is_known_vouches_for_no_other),
        cmocka_unit_test(loopback_is_told_by_its_address),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
