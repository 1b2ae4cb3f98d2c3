/** @file
 * URIs and keys.
 */
#include "tests/unit.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/str.h"
#include "lib/store/uri.h"

static struct err err;

/** "scheme bucket path" of what `text` means below /base/dir, or the name of the error's code. */
static const char *parsed(const char *text)
{
    static char shown[600];
    scoped(uri_free) struct uri *uri = NULL;

    if (uri_parse(text, "/base/dir", &uri, &err) != RC_OK) {
        return rc_name(err.rc);
    }
    snprintf(shown, sizeof(shown), "%s %s %s", uri->scheme == URI_S3 ? "s3" : "file", uri->bucket,
             uri->path);
    return shown;
}

static void a_path_is_made_absolute_and_plain(void **state)
{
    (void)state;
    assert_string_equal(parsed("/a/b"), "file  /a/b");
    assert_string_equal(parsed("x"), "file  /base/dir/x");
    assert_string_equal(parsed("."), "file  /base/dir");
    assert_string_equal(parsed("../x//y/./z/"), "file  /base/x/y/z");
    assert_string_equal(parsed("../../../../etc"), "file  /etc");
    assert_string_equal(parsed("/"), "file  /");
    assert_string_equal(parsed("/a%20b"), "file  /a%20b");
    assert_string_equal(parsed("/..."), "file  /...");
}

static void a_file_uri_is_decoded(void **state)
{
    (void)state;
    assert_string_equal(parsed("file:///a%20b/%C3%A4"), "file  /a b/ä");
    assert_string_equal(parsed("FILE://localhost/a"), "file  /a");
    assert_string_equal(parsed("file:/a"), "file  /a");
    assert_string_equal(parsed("file:///a/%2e%2e/b"), "file  /b");
}

static void a_bad_file_uri_says_what_is_wrong(void **state)
{
    (void)state;
    assert_string_equal(parsed("file://host/a"), "INVALID");
    assert_non_null(strstr(err.text, "'host'"));
    assert_string_equal(parsed("file:///a%zz"), "INVALID");
    assert_string_equal(parsed("file:///a%4"), "INVALID");
    assert_string_equal(parsed("file:///a%00b"), "INVALID");
    assert_string_equal(parsed("file:///a?b"), "INVALID");
    assert_non_null(strstr(err.text, "%3F"));
    assert_string_equal(parsed("file://"), "INVALID");
    assert_string_equal(parsed(""), "INVALID");
    assert_string_equal(parsed("http://x/y"), "INVALID");
    assert_non_null(strstr(err.text, "unknown scheme 'http'"));
}

static void an_s3_uri_has_a_bucket_and_a_prefix(void **state)
{
    (void)state;
    assert_string_equal(parsed("s3://sevir/data/x y%20"), "s3 sevir data/x y%20");
    assert_string_equal(parsed("s3://sevir"), "s3 sevir ");
    assert_string_equal(parsed("s3://sevir/"), "s3 sevir ");
    assert_string_equal(parsed("s3://sevir/data/"), "s3 sevir data/");
    assert_string_equal(parsed("s3://"), "INVALID");
    assert_string_equal(parsed("s3:///x"), "INVALID");
    assert_string_equal(parsed("s3://a b/x"), "INVALID");
}

static void a_path_longer_than_the_kernel_takes_is_refused(void **state)
{
    (void)state;
    char text[5000];

    memset(text, 'x', sizeof(text));
    text[0] = '/';
    text[sizeof(text) - 1] = '\0';
    assert_string_equal(parsed(text), "INVALID");
}

static void formatting_and_parsing_are_inverse(void **state)
{
    (void)state;
    static const char *const keys[] = {"a", "a b/c%d", "q?#\n", "\xff\xfe", "ä/ö"};

    for (unsigned i = 0; i < 5; i++) {
        scoped(uri_free) struct uri *root = NULL, *back = NULL;
        scoped(free) char *text = NULL, *path = NULL;

        assert_int_equal(uri_parse("/r%t", "/", &root, &err), RC_OK);
        text = uri_format(root, keys[i]);
        assert_int_equal(uri_parse(text, "/", &back, &err), RC_OK);
        path = str_printf("/r%%t/%s", keys[i]);
        assert_string_equal(back->path, path);
    }
}

static void formatting_puts_one_slash_between(void **state)
{
    (void)state;
    static const struct {
        const char *uri, *key, *text;
    } cases[] = {
        {"/", "a", "file:///a"},         {"/d", NULL, "file:///d"},
        {"s3://bkt", "a", "s3://bkt/a"}, {"s3://bkt/p", "a", "s3://bkt/p/a"},
        {"s3://bkt", NULL, "s3://bkt"},  {"s3://bkt/p/", "a", "s3://bkt/p/a"},
    };

    for (unsigned i = 0; i < 6; i++) {
        scoped(uri_free) struct uri *uri = NULL;
        scoped(free) char *text = NULL;

        assert_int_equal(uri_parse(cases[i].uri, "/", &uri, &err), RC_OK);
        text = uri_format(uri, cases[i].key);
        assert_string_equal(text, cases[i].text);
    }
}

static void keys_that_could_leave_a_root_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"",    "/a",     "a/",         "a//b",        ".",
                                      "..",  "../etc", "a/..",       "a/../b",      "./a",
                                      "a/.", "\xff",   "a/\xc0\xaf", "\xed\xa0\x80"};
    static const char *const good[] = {"a",    "...", "a/..b",   "a/b..",
                                       "a\nb", "ä/ö", ".hidden", "a b"};

    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(uri_check_key(bad[i], &err), RC_INVALID);
    }
    for (unsigned i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_int_equal(uri_check_key(good[i], &err), RC_OK);
    }
}

static void a_key_has_at_most_1024_bytes(void **state)
{
    (void)state;
    char key[1026];

    memset(key, 'k', sizeof(key));
    key[1024] = '\0';
    assert_int_equal(uri_check_key(key, &err), RC_OK);
    key[1024] = 'k';
    key[1025] = '\0';
    assert_int_equal(uri_check_key(key, &err), RC_INVALID);
    assert_non_null(strstr(err.text, "1025 bytes"));
}

static void a_shown_key_stays_on_its_line_and_in_its_buffer(void **state)
{
    (void)state;
    char shown[URI_SHOWN], hostile[4000];

    assert_string_equal(uri_show("a\nb\x1b[0m", shown), "a\\x0ab\\x1b[0m");
    assert_string_equal(uri_show("\xff-ä", shown), "\\xff-\\xc3\\xa4");
    assert_string_equal(uri_show("ä", shown), "ä");
    for (int fill = 1; fill < 256; fill++) {
        memset(hostile, fill, sizeof(hostile));
        hostile[sizeof(hostile) - 1] = '\0';
        assert_true(strlen(uri_show(hostile, shown)) < URI_SHOWN);
        assert_true(str_is_utf8(shown, strlen(shown)));
    }
    for (unsigned shift = 0; shift < 4; shift++) {
        for (unsigned i = 0; i < 900; i++) {
            memcpy(hostile + shift + i * 4, "\xf0\x9f\x8c\xa9", 4);
        }
        memset(hostile, 'x', shift);
        hostile[shift + 3600] = '\0';
        assert_true(strlen(uri_show(hostile, shown)) < URI_SHOWN);
        assert_true(str_is_utf8(shown, strlen(shown)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_path_is_made_absolute_and_plain),
        cmocka_unit_test(a_file_uri_is_decoded),
        cmocka_unit_test(a_bad_file_uri_says_what_is_wrong),
        cmocka_unit_test(an_s3_uri_has_a_bucket_and_a_prefix),
        cmocka_unit_test(a_path_longer_than_the_kernel_takes_is_refused),
        cmocka_unit_test(formatting_and_parsing_are_inverse),
        cmocka_unit_test(formatting_puts_one_slash_between),
        cmocka_unit_test(keys_that_could_leave_a_root_are_refused),
        cmocka_unit_test(a_key_has_at_most_1024_bytes),
        cmocka_unit_test(a_shown_key_stays_on_its_line_and_in_its_buffer),
    };
    return cmocka_run_group_tests_name("uri", tests, NULL, NULL);
}
