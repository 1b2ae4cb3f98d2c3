/** @file
 * The shared files. tests/flow/test_credentials.py compares with botocore.
 */
#include "tests/unit.h"

#include <string.h>

#include "lib/aws/profile.h"
#include "lib/base/str.h"

static struct profile_files *files;

static int set_up(void **state)
{
    files = profile_files_new();
    return 0;
}

static int tear_down(void **state)
{
    profile_files_free(files);
    return 0;
}

static void parse(enum profile_source source, const char *text)
{
    struct err err;

    if (profile_parse(files, source, "f", str_dup(text), strlen(text), &err) != RC_OK) {
        fail_msg("%s", err.text);
    }
}

static void refuses(const char *text, const char *expected)
{
    scoped(profile_files_free) struct profile_files *own = profile_files_new();
    struct err err;

    assert_int_equal(profile_parse(own, PROFILE_CONFIG, "f", str_dup(text), strlen(text), &err),
                     RC_INVALID);
    assert_string_equal(err.text, expected);
}

static void a_profile_of_the_configuration_says_what_it_is(void **state)
{
    parse(PROFILE_CONFIG,
          "# a comment\n[default]\nregion=a\n[profile x]\nRegion : b \n"
          "[profile 'y z']\nregion = c\n[x]\nregion = no\n[profile]\nregion = no\n");
    assert_string_equal(profile_get(files, "default", "region"), "a");
    assert_string_equal(profile_get(files, "x", "region"), "b");
    assert_string_equal(profile_get(files, "y z", "region"), "c");
    assert_null(profile_get(files, "x", "output"));
    assert_true(profile_exists(files, "x"));
    assert_false(profile_exists(files, "z"));
    assert_false(profile_exists(files, "profile"));
}

static void the_credentials_file_goes_before(void **state)
{
    parse(PROFILE_CONFIG, "[profile x]\nregion = a\nrole_arn = r\n");
    parse(PROFILE_CREDENTIALS, "[x]\nregion = b\n[profile x]\nregion = no\n");
    assert_string_equal(profile_get(files, "x", "region"), "b");
    assert_string_equal(profile_get(files, "x", "role_arn"), "r");
    assert_string_equal(profile_get_from(files, PROFILE_CONFIG, "x", "region"), "a");
    assert_null(profile_get_from(files, PROFILE_CREDENTIALS, "x", "role_arn"));
}

static void a_block_is_read_one_level_deep(void **state)
{
    parse(PROFILE_CONFIG,
          "[profile x]\ns3 =\n    addressing_style = path\n  # no\n\n    a=1\n    a=2\n"
          "region = r\nservices = local\n[services local]\nsqs =\n  endpoint_url = u\n");
    assert_string_equal(profile_get_nested(files, "x", "s3", "addressing_style"), "path");
    assert_string_equal(profile_get_nested(files, "x", "s3", "a"), "2");
    assert_null(profile_get_nested(files, "x", "sqs", "a"));
    assert_null(profile_get(files, "x", "s3"));
    assert_null(profile_get(files, "x", "a"));
    assert_string_equal(profile_get(files, "x", "region"), "r");
    assert_string_equal(profile_get_service(files, "local", "sqs", "endpoint_url"), "u");
    assert_null(profile_get_service(files, "x", "s3", "addressing_style"));
}

static void a_value_goes_on_in_indented_lines(void **state)
{
    parse(PROFILE_CONFIG,
          "[default]\r\nrole_arn = a\r\n  b = c \r\n\r\n\t; no\r\n\td\r\nregion = r\r\n");
    assert_string_equal(profile_get(files, "default", "role_arn"), "a\nb = c\n\nd");
    assert_string_equal(profile_get(files, "default", "region"), "r");
}

static void defaults_and_twins_are_as_python_has_them(void **state)
{
    parse(PROFILE_CONFIG, "[DEFAULT]\nregion = all\n[default]\noutput = a\nx = y\n"
                          "[profile default]\noutput = b\n");
    assert_string_equal(profile_get(files, "default", "output"), "b");
    assert_null(profile_get(files, "default", "x"));
    assert_string_equal(profile_get(files, "default", "region"), "all");
    assert_null(profile_get(files, "nobody", "region"));
}

static void what_is_wrong_is_named_by_its_line_and_not_quoted(void **state)
{
    refuses("secret = x\n", "'f' line 1: stands before any [section]");
    refuses("[a]\n\nsecret\n", "'f' line 3: is neither [section] nor 'key = value'");
    refuses("[a]\n= secret\n", "'f' line 2: is neither [section] nor 'key = value'");
    refuses("[]\n", "'f' line 1: stands before any [section]");
    refuses("[a]\n[b]\n[a]\n", "'f' line 3: a section that was there before");
    refuses("[a]\nKey=1\nkey=2\n", "'f' line 3: a key that was there before");
    refuses("[a]\ns3 =\n  secret\n[b]\n",
            "'f' line 4: the block that ends before it holds a line without '='");
    refuses("[a]\n\xff\n", "'f' is no text in UTF-8");
}

static void splits(const char *text, const char *joined)
{
    scoped(free) char *copy = str_dup(text);
    scoped(strbuf_done) struct strbuf out = {0};
    char *words[PROFILE_WORDS_MAX + 1];
    unsigned count;
    struct err err;

    assert_int_equal(profile_split(copy, words, &count, &err), RC_OK);
    for (unsigned i = 0; i < count; i++) {
        strbuf_printf(&out, "<%s>", words[i]);
    }
    assert_null(words[count]);
    assert_string_equal(strbuf_text(&out), joined);
}

static void words_are_split_as_a_shell_does_and_nothing_is_expanded(void **state)
{
    scoped(free) char *many = NULL;
    char *words[PROFILE_WORDS_MAX + 1], quoted[] = "a 'b", escaped[] = "a\\";
    unsigned count;
    struct err err;

    splits("", "");
    splits("  a  b\tc\n", "<a><b><c>");
    splits("a\\ b 'c d'\"e 'f\" '' \"\"", "<a b><c de 'f><><>");
    splits("'a\\b' \"a\\b\\\"c\\\\\" $HOME `x` *", "<a\\b><a\\b\"c\\><$HOME><`x`><*>");
    assert_int_equal(profile_split(quoted, words, &count, &err), RC_INVALID);
    assert_int_equal(profile_split(escaped, words, &count, &err), RC_INVALID);
    many = str_printf("%0*d", 400, 0);
    for (size_t i = 1; i < 400; i += 2) {
        many[i] = ' ';
    }
    assert_int_equal(profile_split(many, words, &count, &err), RC_INVALID);
    assert_string_equal(err.text, "more than 128 words");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_profile_of_the_configuration_says_what_it_is),
        TEST(the_credentials_file_goes_before),
        TEST(a_block_is_read_one_level_deep),
        TEST(a_value_goes_on_in_indented_lines),
        TEST(defaults_and_twins_are_as_python_has_them),
        TEST(what_is_wrong_is_named_by_its_line_and_not_quoted),
        TEST(words_are_split_as_a_shell_does_and_nothing_is_expanded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
