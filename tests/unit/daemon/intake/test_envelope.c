/** @file
 * What messages say. The bodies are those of AWS's documentation and of moto 5.2.1.
 */
#include "tests/unit.h"

#include <stdio.h>
#include <string.h>

#include "daemon/intake/envelope.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"

#define RECORD(version, name, object)                                                           \
    "{\"eventVersion\":\"" version "\",\"eventSource\":\"aws:s3\",\"awsRegion\":\"us-east-1\"," \
    "\"eventTime\":\"2019-05-12T18:30:00.123Z\",\"eventName\":\"" name                          \
    "\",\"s3\":{\"s3SchemaVersion\":\"1.0\",\"bucket\":{\"name\":\"raw\"},\"object\":{" object  \
    "}}}"
#define S3(records) "{\"Records\":[" records "]}"
#define PUT(key)                       \
    RECORD("2.6", "ObjectCreated:Put", \
           "\"key\":\"" key            \
           "\",\"size\":1024,\"eTag\":\"d41d\",\"sequencer\":\"0055AED6DCD90281E5\"")
#define BRIDGE(source, type, detail)                                                      \
    "{\"version\":\"0\",\"id\":\"1\",\"detail-type\":\"" type "\",\"source\":\"" source   \
    "\",\"account\":\"1\",\"time\":\"2021-11-12T00:00:00Z\",\"region\":\"ca-central-1\"," \
    "\"resources\":[],\"detail\":{" detail "}}"

static struct envelope envelope;

static void read_text(const char *body)
{
    envelope_done(&envelope);
    envelope_read(body, strlen(body), &envelope);
}

/** The body as SNS sends it on. */
static char *wrap(const char *body)
{
    struct strbuf out = {0};

    strbuf_puts(&out, "{\"Type\":\"Notification\",\"MessageId\":\"m\",\"TopicArn\":"
                      "\"arn:aws:sns:us-east-1:1:t\",\"Subject\":\"Amazon S3 Notification\","
                      "\"Timestamp\":\"2019-05-12T18:30:00.123Z\",\"Message\":");
    strbuf_json(&out, body);
    strbuf_putc(&out, '}');
    return strbuf_take(&out);
}

static int end(void **state)
{
    (void)state;
    envelope_done(&envelope);
    return 0;
}

static void assert_unknown(const char *body, const char *reason)
{
    read_text(body);
    assert_int_equal(envelope.kind, ENVELOPE_UNKNOWN);
    if (strstr(envelope.reason, reason) == NULL) {
        fail_msg("'%s' does not say '%s'", envelope.reason, reason);
    }
}

static void s3_says_bucket_key_version_and_order(void **state)
{
    (void)state;
    read_text(S3(RECORD("2.6", "ObjectCreated:CompleteMultipartUpload",
                        "\"key\":\"vil/SEVIR.h5\",\"size\":5368709120,\"eTag\":\"d41d-2\","
                        "\"versionId\":\"096f.K\",\"sequencer\":\"0055AED6DCD90281E5\"")));
    assert_int_equal(envelope.kind, ENVELOPE_EVENTS);
    assert_string_equal(envelope.form, "s3");
    assert_int_equal(envelope.count, 1);
    assert_int_equal(envelope.events[0].what, ENVELOPE_CREATED);
    assert_string_equal(envelope.events[0].name, "ObjectCreated:CompleteMultipartUpload");
    assert_string_equal(envelope.events[0].bucket, "raw");
    assert_string_equal(envelope.events[0].key, "vil/SEVIR.h5");
    assert_string_equal(envelope.events[0].alternative, "");
    assert_string_equal(envelope.events[0].etag, "d41d-2");
    assert_string_equal(envelope.events[0].version, "096f.K");
    assert_string_equal(envelope.events[0].sequencer, "0055AED6DCD90281E5");
    assert_true(envelope.events[0].size == 5368709120u);
    assert_true(envelope.events[0].event_ms == 1557685800123);
    assert_string_equal(envelope.reason, "");
}

static void keys_are_form_encoded_and_decoded_once(void **state)
{
    static const char *const cases[][2] = {
        {"a+b", "a b"},
        {"a%2Fb%2Fc", "a/b/c"},
        {"a/b", "a/b"},
        {"caf%C3%A9", "caf\xc3\xa9"},
        {"100%25+%2B1", "100% +1"},
        {"%2520", "%20"},
        {"a%ZZb%", "a%ZZb%"},
        {"a%2", "a%2"},
        {"%e2%98%83", "\xe2\x98\x83"},
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        scoped(free) char *body =
            str_printf(S3(RECORD("2.1", "ObjectCreated:Put", "\"key\":\"%s\"")), cases[i][0]);

        read_text(body);
        assert_int_equal(envelope.count, 1);
        assert_string_equal(envelope.events[0].key, cases[i][1]);
    }
    assert_unknown(S3(PUT("a%00b")), "no key that could be one");
}

static void every_event_name_is_created_removed_or_other(void **state)
{
    static const struct {
        const char *name;
        enum envelope_what what;
    } cases[] = {
        {"ObjectCreated:Put", ENVELOPE_CREATED},
        {"ObjectCreated:Post", ENVELOPE_CREATED},
        {"ObjectCreated:Copy", ENVELOPE_CREATED},
        {"s3:ObjectCreated:Put", ENVELOPE_CREATED},
        {"ObjectRemoved:Delete", ENVELOPE_REMOVED},
        {"ObjectRemoved:DeleteMarkerCreated", ENVELOPE_REMOVED},
        {"LifecycleExpiration:Delete", ENVELOPE_REMOVED},
        {"LifecycleExpiration:DeleteMarkerCreated", ENVELOPE_REMOVED},
        {"ObjectTagging:Put", ENVELOPE_OTHER},
        {"ObjectRestore:Completed", ENVELOPE_OTHER},
        {"ReducedRedundancyLostObject", ENVELOPE_OTHER},
        {"ObjectAcl:Put", ENVELOPE_OTHER},
        {"SomethingNew:Of2031", ENVELOPE_OTHER},
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        scoped(free) char *body =
            str_printf(S3(RECORD("2.9", "%s", "\"key\":\"k\"")), cases[i].name);

        read_text(body);
        assert_int_equal(envelope.count, 1);
        assert_int_equal(envelope.events[0].what, cases[i].what);
    }
}

static void the_removal_of_one_version_is_not_that_of_the_object(void **state)
{
    (void)state;
    read_text(
        S3(RECORD("2.6", "ObjectRemoved:Delete", "\"key\":\"k\",\"versionId\":\"v1\"") "," RECORD(
            "2.6", "ObjectRemoved:Delete",
            "\"key\":\"k\"") "," RECORD("2.6", "ObjectRemoved:DeleteMarkerCreated",
                                        "\"key\":\"k\",\"versionId\":\"v1\"")));
    assert_int_equal(envelope.count, 3);
    assert_true(envelope.events[0].one_version);
    assert_false(envelope.events[1].one_version);
    assert_false(envelope.events[2].one_version);
}

static void a_newer_minor_version_is_read_and_a_newer_major_is_not(void **state)
{
    (void)state;
    read_text(S3(RECORD("2.99", "ObjectCreated:Put", "\"key\":\"k\",\"new\":{\"a\":[1]}")));
    assert_int_equal(envelope.kind, ENVELOPE_EVENTS);
    assert_unknown(S3(RECORD("3.0", "ObjectCreated:Put", "\"key\":\"k\"")), "version 3.0");
    assert_unknown(S3(RECORD("20.1", "ObjectCreated:Put", "\"key\":\"k\"")), "version 20.1");
}

static void what_one_record_lacks_does_not_cost_the_others(void **state)
{
    (void)state;
    read_text(S3(PUT("a") ",{\"eventSource\":\"aws:ses\",\"eventName\":\"x\"}," PUT("b")));
    assert_int_equal(envelope.kind, ENVELOPE_EVENTS);
    assert_int_equal(envelope.count, 2);
    assert_string_equal(envelope.events[1].key, "b");
    assert_non_null(strstr(envelope.reason, "aws:ses"));
}

static void sns_is_unwrapped_also_twice(void **state)
{
    scoped(free) char *once = wrap(S3(PUT("a+b"))), *twice = wrap(once);

    (void)state;
    read_text(once);
    assert_int_equal(envelope.kind, ENVELOPE_EVENTS);
    assert_string_equal(envelope.form, "sns+s3");
    assert_string_equal(envelope.events[0].key, "a b");
    read_text(twice);
    assert_int_equal(envelope.kind, ENVELOPE_EVENTS);
    assert_string_equal(envelope.events[0].key, "a b");
}

static void wrapping_without_end_is_refused(void **state)
{
    char *body = str_dup(S3(PUT("a")));

    (void)state;
    for (unsigned i = 0; i < ENVELOPE_WRAPS_MAX + 1; i++) {
        char *outer = wrap(body);

        free(body);
        body = outer;
    }
    assert_unknown(body, "more than 3 times");
    free(body);
}

static void eventbridge_leaves_open_whether_its_keys_are_encoded(void **state)
{
    (void)state;
    read_text(
        BRIDGE("aws.s3", "Object Created",
               "\"version\":\"0\",\"bucket\":{\"name\":\"raw\"},\"object\":{\"key\":\"a+b%20c\","
               "\"size\":5,\"etag\":\"b194\",\"version-id\":\"IYV3\",\"sequencer\":"
               "\"617f08299329d189\"},\"reason\":\"PutObject\""));
    assert_int_equal(envelope.kind, ENVELOPE_EVENTS);
    assert_string_equal(envelope.form, "eventbridge");
    assert_int_equal(envelope.events[0].what, ENVELOPE_CREATED);
    assert_string_equal(envelope.events[0].key, "a+b%20c");
    assert_string_equal(envelope.events[0].alternative, "a b c");
    assert_string_equal(envelope.events[0].etag, "b194");
    assert_string_equal(envelope.events[0].version, "IYV3");
    assert_string_equal(envelope.events[0].sequencer, "617f08299329d189");
    assert_true(envelope.events[0].event_ms == 1636675200000);
}

static void eventbridge_in_the_spelling_of_moto_and_through_sns(void **state)
{
    const char *body = BRIDGE("aws.s3", "Object Created",
                              "\"bucket\":{\"name\":\"raw\"},\"object\":{\"key\":\"k\",\"size\":1,"
                              "\"eTag\":\"abc\",\"sequencer\":\"617f08299329d189\"},\"reason\":"
                              "\"ObjectCreated\"");
    scoped(free) char *wrapped = wrap(body);

    (void)state;
    read_text(body);
    assert_string_equal(envelope.events[0].etag, "abc");
    assert_string_equal(envelope.events[0].alternative, "");
    read_text(wrapped);
    assert_int_equal(envelope.kind, ENVELOPE_EVENTS);
    assert_string_equal(envelope.form, "sns+eventbridge");
}

static void eventbridge_deletions_say_whether_a_version_or_the_object_went(void **state)
{
    (void)state;
    read_text(
        BRIDGE("aws.s3", "Object Deleted",
               "\"bucket\":{\"name\":\"raw\"},\"object\":{\"key\":\"k\",\"version-id\":\"v\"},"
               "\"deletion-type\":\"Permanently Deleted\""));
    assert_int_equal(envelope.events[0].what, ENVELOPE_REMOVED);
    assert_true(envelope.events[0].one_version);
    read_text(
        BRIDGE("aws.s3", "Object Deleted",
               "\"bucket\":{\"name\":\"raw\"},\"object\":{\"key\":\"k\",\"version-id\":\"v\"},"
               "\"deletion-type\":\"Delete Marker Created\""));
    assert_false(envelope.events[0].one_version);
    read_text(BRIDGE("aws.s3", "Object Tags Added", "\"bucket\":{\"name\":\"raw\"}"));
    assert_int_equal(envelope.events[0].what, ENVELOPE_OTHER);
}

static void the_test_event_is_known_also_through_sns(void **state)
{
    const char *body = "{\"Service\":\"Amazon S3\",\"Event\":\"s3:TestEvent\",\"Time\":"
                       "\"2014-10-13T15:57:02.089Z\",\"Bucket\":\"raw\",\"RequestId\":\"5\","
                       "\"HostId\":\"8\"}";
    scoped(free) char *wrapped = wrap(body);

    (void)state;
    read_text(body);
    assert_int_equal(envelope.kind, ENVELOPE_TEST);
    read_text(wrapped);
    assert_int_equal(envelope.kind, ENVELOPE_TEST);
}

static void glue_is_told_apart(void **state)
{
    (void)state;
    read_text(BRIDGE("aws.glue", "Glue Crawler State Change",
                     "\"crawlerName\":\"sevir\",\"state\":\"Failed\",\"errorMessage\":\"no\","
                     "\"message\":\"x\""));
    assert_int_equal(envelope.kind, ENVELOPE_GLUE);
    assert_int_equal(envelope.glue.kind, ENVELOPE_GLUE_CRAWLER);
    assert_string_equal(envelope.glue.name, "sevir");
    assert_string_equal(envelope.glue.state, "Failed");
    assert_string_equal(envelope.glue.message, "no");
    read_text(BRIDGE("aws.glue", "Glue Job State Change",
                     "\"jobName\":\"etl\",\"state\":\"SUCCEEDED\",\"jobRunId\":\"jr_1\""));
    assert_int_equal(envelope.glue.kind, ENVELOPE_GLUE_JOB);
    assert_string_equal(envelope.glue.run_id, "jr_1");
    assert_unknown(BRIDGE("aws.glue", "Glue Data Catalog Table State Change", "\"a\":1"), "Glue");
    assert_unknown(BRIDGE("aws.ec2", "EC2 Instance State-change", "\"a\":1"), "aws.ec2");
}

static void what_is_none_of_these_has_a_reason(void **state)
{
    (void)state;
    assert_unknown("", "no JSON");
    assert_unknown("hello", "no JSON");
    assert_unknown("[]", "no JSON object");
    assert_unknown("{}", "neither");
    assert_unknown("{\"Records\":[]}", "no list");
    assert_unknown("{\"Records\":{}}", "no list");
    assert_unknown("{\"Records\":[1,null]}", "none of S3's");
    assert_unknown("{\"Records\":[" RECORD("2.6", "ObjectCreated:Put", "\"size\":1") "]}",
                   "no bucket");
    assert_unknown("{\"Type\":\"SubscriptionConfirmation\",\"TopicArn\":\"a\",\"Message\":\"You\"}",
                   "waits to be confirmed");
    assert_unknown("{\"Type\":\"Notification\",\"TopicArn\":\"a\",\"Message\":{}}", "Notification");
    assert_unknown("{\"Type\":\"Notification\",\"TopicArn\":\"a\",\"Message\":\"\\u001b[2J\"}",
                   "no JSON");
    assert_null(strchr(envelope.reason, '\x1b'));
}

static void size_depth_and_number_are_bounded(void **state)
{
    scoped(strbuf_done) struct strbuf body = {0};

    (void)state;
    for (unsigned i = 0; i < 100000; i++) {
        strbuf_putc(&body, '[');
    }
    assert_unknown(strbuf_text(&body), "deeper");
    strbuf_reset(&body);
    strbuf_puts(&body, "{\"Records\":[1");
    for (unsigned i = 0; i < ENVELOPE_RECORDS_MAX; i++) {
        strbuf_puts(&body, ",1");
    }
    strbuf_puts(&body, "]}");
    assert_unknown(strbuf_text(&body), "no list of 1 to 1000");
    strbuf_reset(&body);
    strbuf_puts(&body, "{\"a\":\"");
    while (body.len <= ENVELOPE_BODY_MAX) {
        strbuf_puts(&body, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
    }
    strbuf_puts(&body, "\"}");
    assert_unknown(strbuf_text(&body), "longer");
    /* Brackets within a string are no depth. */
    read_text(S3(PUT("[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\\\"[[[[")));
    assert_int_equal(envelope.kind, ENVELOPE_EVENTS);
}

static void sequencers_that_are_none_and_sizes_below_zero_are_left_out(void **state)
{
    (void)state;
    read_text(S3(RECORD("2.6", "ObjectCreated:Put",
                        "\"key\":\"k\",\"size\":-1,\"sequencer\":\"xyz\",\"eTag\":\"\\\"q\\\"\"")));
    assert_string_equal(envelope.events[0].sequencer, "");
    assert_true(envelope.events[0].size == 0);
    assert_string_equal(envelope.events[0].etag, "q");
}

static void times_are_read_in_each_spelling(void **state)
{
    (void)state;
    assert_true(envelope_time_ms("1970-01-01T00:00:01.500Z") == 1500);
    assert_true(envelope_time_ms("1970-01-01T00:00:01Z") == 1000);
    assert_true(envelope_time_ms("1970-01-01T00:00:01.123456") == 1123);
    assert_true(envelope_time_ms("1970-01-01T00:00:01.5+00:00") == 1500);
    assert_true(envelope_time_ms("1970-01-01T00:00:01+02:00") == 0);
    assert_true(envelope_time_ms("1970-13-01T00:00:01Z") == 0);
    assert_true(envelope_time_ms("yesterday") == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(s3_says_bucket_key_version_and_order, end),
        cmocka_unit_test_teardown(keys_are_form_encoded_and_decoded_once, end),
        cmocka_unit_test_teardown(every_event_name_is_created_removed_or_other, end),
        cmocka_unit_test_teardown(the_removal_of_one_version_is_not_that_of_the_object, end),
        cmocka_unit_test_teardown(a_newer_minor_version_is_read_and_a_newer_major_is_not, end),
        cmocka_unit_test_teardown(what_one_record_lacks_does_not_cost_the_others, end),
        cmocka_unit_test_teardown(sns_is_unwrapped_also_twice, end),
        cmocka_unit_test_teardown(wrapping_without_end_is_refused, end),
        cmocka_unit_test_teardown(eventbridge_leaves_open_whether_its_keys_are_encoded, end),
        cmocka_unit_test_teardown(eventbridge_in_the_spelling_of_moto_and_through_sns, end),
        cmocka_unit_test_teardown(eventbridge_deletions_say_whether_a_version_or_the_object_went,
                                  end),
        cmocka_unit_test_teardown(the_test_event_is_known_also_through_sns, end),
        cmocka_unit_test_teardown(glue_is_told_apart, end),
        cmocka_unit_test_teardown(what_is_none_of_these_has_a_reason, end),
        cmocka_unit_test_teardown(size_depth_and_number_are_bounded, end),
        cmocka_unit_test_teardown(sequencers_that_are_none_and_sizes_below_zero_are_left_out, end),
        cmocka_unit_test_teardown(times_are_read_in_each_spelling, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
