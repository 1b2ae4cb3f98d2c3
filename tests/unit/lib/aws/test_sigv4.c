/** @file
 * Signatures against AWS's published examples (of S3's API reference, 20130524), and the rules of
 * path, query and headers one by one. tests/flow/test_sigv4.py compares with botocore.
 */
#include "tests/unit.h"

#include <string.h>

#include "lib/aws/sigv4.h"
#include "lib/base/mem.h"

static const struct sigv4_scope s3_example = {
    .access_key_id = "AKIAIOSFODNN7EXAMPLE",
    .secret_access_key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    .region = "us-east-1",
    .service = "s3",
    .time_s = 1369353600, /* 2013-05-24 */
    .s3_path = true,
};

static const struct sigv4_scope other_service = {
    .access_key_id = "AKIDEXAMPLE",
    .secret_access_key = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
    .region = "us-east-1",
    .service = "service",
    .time_s = 1440938160,
};

/** The line of the canonical request: 1 is the path, 2 the query, from 3 on the headers. */
static void assert_line(const struct sigv4_parts *parts, unsigned line, const char *expected)
{
    const char *at = parts->canonical_request.data;

    for (; line > 0; line--) {
        at = strchr(at, '\n') + 1;
    }
    assert_int_equal(strcspn(at, "\n"), strlen(expected));
    assert_memory_equal(at, expected, strlen(expected));
}

static void sign_path(const struct sigv4_scope *scope, const char *path, const char *expected)
{
    const struct sigv4_pair host = {"host", "example.com"};
    const struct sigv4_request request = {"GET", path, NULL, 0, &host, 1, SIGV4_EMPTY_SHA256};
    scoped(strbuf_done) struct strbuf authorization = {0};
    struct sigv4_parts parts = {0};

    sigv4_authorization(&request, scope, NULL, &parts, &authorization);
    assert_line(&parts, 1, expected);
    sigv4_parts_done(&parts);
}

static void a_get_is_signed_as_aws_prints_it(void **state)
{
    const struct sigv4_pair headers[] = {
        {"Host", "examplebucket.s3.amazonaws.com"},
        {"Range", "bytes=0-9"},
        {"x-amz-content-sha256", SIGV4_EMPTY_SHA256},
        {"x-amz-date", "20130524T000000Z"},
    };
    const struct sigv4_request request = {.method = "GET",
                                          .path = "/test.txt",
                                          .headers = headers,
                                          .header_count = ARRAY_LEN(headers),
                                          .payload_sha256 = SIGV4_EMPTY_SHA256};
    scoped(strbuf_done) struct strbuf authorization = {0};

    sigv4_authorization(&request, &s3_example, NULL, NULL, &authorization);
    assert_string_equal(
        authorization.data,
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
        "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, "
        "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
}

static void a_put_is_signed_as_aws_prints_it(void **state)
{
    const char *sha256 = "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072";
    const struct sigv4_pair headers[] = {
        {"Date", "Fri, 24 May 2013 00:00:00 GMT"}, {"Host", "examplebucket.s3.amazonaws.com"},
        {"x-amz-date", "20130524T000000Z"},        {"x-amz-storage-class", "REDUCED_REDUNDANCY"},
        {"x-amz-content-sha256", sha256},
    };
    const struct sigv4_request request = {"PUT",   "/test$file.text",  NULL,  0,
                                          headers, ARRAY_LEN(headers), sha256};
    scoped(strbuf_done) struct strbuf authorization = {0};

    sigv4_authorization(&request, &s3_example, NULL, NULL, &authorization);
    assert_non_null(strstr(authorization.data,
                           "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"));
}

static void a_query_without_value_is_signed_as_aws_prints_it(void **state)
{
    const struct sigv4_pair query = {"lifecycle", ""},
                            headers[] = {
                                {"Host", "examplebucket.s3.amazonaws.com"},
                                {"x-amz-date", "20130524T000000Z"},
                                {"x-amz-content-sha256", SIGV4_EMPTY_SHA256},
                            };
    const struct sigv4_request request = {
        "GET", "/", &query, 1, headers, ARRAY_LEN(headers), SIGV4_EMPTY_SHA256};
    scoped(strbuf_done) struct strbuf authorization = {0};

    sigv4_authorization(&request, &s3_example, NULL, NULL, &authorization);
    assert_non_null(strstr(authorization.data,
                           "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"));
}

static void a_url_is_presigned_as_aws_prints_it(void **state)
{
    const struct sigv4_pair host = {"host", "examplebucket.s3.amazonaws.com"};
    const struct sigv4_request request = {"GET", "/test.txt",           NULL, 0, &host,
                                          1,     SIGV4_UNSIGNED_PAYLOAD};
    scoped(strbuf_done) struct strbuf query = {0};
    struct err err;

    assert_int_equal(sigv4_presign(&request, &s3_example, 86400, NULL, &query, &err), RC_OK);
    assert_string_equal(
        query.data,
        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2F"
        "us-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&"
        "X-Amz-SignedHeaders=host&"
        "X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404");
}

static void a_url_is_presigned_for_a_week_at_most(void **state)
{
    const struct sigv4_request request = {"GET", "/", NULL, 0, NULL, 0, SIGV4_UNSIGNED_PAYLOAD};
    scoped(strbuf_done) struct strbuf query = {0};
    struct err err;

    assert_int_equal(sigv4_presign(&request, &s3_example, 604801, NULL, &query, &err), RC_INVALID);
    assert_string_equal(err.text, "presign: 604801 s is not within 1 and 604800");
    assert_int_equal(sigv4_presign(&request, &s3_example, 0, NULL, &query, &err), RC_INVALID);
    assert_int_equal(sigv4_presign(&request, &s3_example, 604800, NULL, &query, &err), RC_OK);
}

static void a_path_of_s3_is_encoded_once_and_kept(void **state)
{
    sign_path(&s3_example, "/", "/");
    sign_path(&s3_example, "/a//b/./../c", "/a//b/./../c");
    sign_path(&s3_example, "/a b+c%20\xE1\x88\xB4~", "/a%20b%2Bc%2520%E1%88%B4~");
}

static void another_path_is_normalised_and_encoded_twice(void **state)
{
    struct sigv4_scope as_sent = other_service;

    sign_path(&other_service, "/a b", "/a%2520b");
    sign_path(&other_service, "//a/./b//", "/a/b/");
    sign_path(&other_service, "/a/..", "/");
    sign_path(&other_service, "/../../a/b/..", "/a");
    sign_path(&other_service, "/a/b/../", "/a/");
    sign_path(&other_service, "//", "/");
    sign_path(&other_service, "", "/");
    as_sent.encode_once = true;
    sign_path(&as_sent, "/a b/../c d", "/c%20d");
}

static void a_query_is_sorted_by_encoded_name_and_then_value(void **state)
{
    const struct sigv4_pair query[] = {{"b", "2"}, {"a-b", ""},    {"a", "z"},
                                       {"a", "+"}, {"B", "x y/="}, {"\xE1\x88\xB4", "*"}};
    scoped(strbuf_done) struct strbuf text = {0};

    sigv4_query(&text, query, ARRAY_LEN(query));
    assert_string_equal(text.data, "%E1%88%B4=%2A&B=x%20y%2F%3D&a=%2B&a=z&a-b=&b=2");
}

static void headers_are_sorted_squeezed_and_joined(void **state)
{
    const struct sigv4_pair headers[] = {
        {"My-Header", "  b   c "}, {"user-agent", "x"},     {"host", "h"},
        {"MY-HEADER", "a"},        {"Empty", " "},          {"Expect", "100-continue"},
        {"my-header", "\td\n e"},  {"Authorization", "no"}, {"Connection", "close"},
    };
    const struct sigv4_request request = {
        "GET", "/", NULL, 0, headers, ARRAY_LEN(headers), SIGV4_EMPTY_SHA256};
    scoped(strbuf_done) struct strbuf authorization = {0};
    struct sigv4_parts parts = {0};

    sigv4_authorization(&request, &other_service, NULL, &parts, &authorization);
    assert_line(&parts, 3, "empty:");
    assert_line(&parts, 4, "host:h");
    assert_line(&parts, 5, "my-header:b c,a,d e");
    assert_line(&parts, 6, "");
    assert_line(&parts, 7, "empty;host;my-header");
    assert_string_equal(strbuf_text(&parts.signed_headers), "empty;host;my-header");
    sigv4_parts_done(&parts);
}

static void a_session_token_is_signed_unless_it_is_to_be_left_out(void **state)
{
    const struct sigv4_pair headers[] = {{"host", "h"}, {"X-Amz-Security-Token", "t/1"}};
    const struct sigv4_request with = {"GET", "/", NULL, 0, headers, 2, SIGV4_EMPTY_SHA256},
                               without = {"GET", "/", NULL, 0, headers, 1, SIGV4_EMPTY_SHA256};
    struct sigv4_scope scope = other_service;
    scoped(strbuf_done) struct strbuf text = {0};
    struct err err;

    scope.session_token = "t/1";
    sigv4_authorization(&with, &scope, NULL, NULL, &text);
    assert_non_null(strstr(text.data, "SignedHeaders=host;x-amz-security-token,"));
    sigv4_presign(&without, &scope, 60, NULL, &text, &err);
    assert_non_null(strstr(text.data, "&X-Amz-Security-Token=t%2F1&X-Amz-SignedHeaders=host&"));
    scope.omit_session_token = true;
    sigv4_authorization(&with, &scope, NULL, NULL, &text);
    assert_non_null(strstr(text.data, "SignedHeaders=host,"));
    sigv4_presign(&without, &scope, 60, NULL, &text, &err);
    assert_true(str_ends(text.data, "&X-Amz-Security-Token=t%2F1"));
}

/** With `key`, and without one. */
static void both_sign_alike(const struct sigv4_scope *scope, struct sigv4_key *key)
{
    const struct sigv4_pair host = {"host", "h"};
    const struct sigv4_request request = {"GET", "/", NULL, 0, &host, 1, SIGV4_EMPTY_SHA256};
    scoped(strbuf_done) struct strbuf kept = {0}, fresh = {0};

    sigv4_authorization(&request, scope, key, NULL, &kept);
    sigv4_authorization(&request, scope, NULL, NULL, &fresh);
    assert_string_equal(kept.data, fresh.data);
}

static void a_kept_key_serves_its_scope_and_secret_only(void **state)
{
    struct sigv4_key key = {0};
    struct sigv4_scope scope = other_service;
    char region[200];

    both_sign_alike(&scope, &key);
    both_sign_alike(&scope, &key);
    scope.time_s += 86400;
    both_sign_alike(&scope, &key);
    scope.region = "eu-central-1";
    both_sign_alike(&scope, &key);
    scope.service = "sqs";
    both_sign_alike(&scope, &key);
    scope.secret_access_key =
        "a secret of more than sixty-four bytes, which HMAC has to hash first";
    both_sign_alike(&scope, &key);
    memset(region, 'r', sizeof(region) - 1);
    region[sizeof(region) - 1] = '\0';
    scope.region = region; /* does not fit */
    both_sign_alike(&scope, &key);
}

static void a_date_is_utc_without_punctuation(void **state)
{
    char date[SIGV4_DATE];

    sigv4_date(1369353600, date);
    assert_string_equal(date, "20130524T000000Z");
    sigv4_date(951827696, date);
    assert_string_equal(date, "20000229T123456Z");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_get_is_signed_as_aws_prints_it),
        cmocka_unit_test(a_put_is_signed_as_aws_prints_it),
        cmocka_unit_test(a_query_without_value_is_signed_as_aws_prints_it),
        cmocka_unit_test(a_url_is_presigned_as_aws_prints_it),
        cmocka_unit_test(a_url_is_presigned_for_a_week_at_most),
        cmocka_unit_test(a_path_of_s3_is_encoded_once_and_kept),
        cmocka_unit_test(another_path_is_normalised_and_encoded_twice),
        cmocka_unit_test(a_query_is_sorted_by_encoded_name_and_then_value),
        cmocka_unit_test(headers_are_sorted_squeezed_and_joined),
        cmocka_unit_test(a_session_token_is_signed_unless_it_is_to_be_left_out),
        cmocka_unit_test(a_kept_key_serves_its_scope_and_secret_only),
        cmocka_unit_test(a_date_is_utc_without_punctuation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
