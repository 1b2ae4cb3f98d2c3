/** @file
 * A call to a service, against a server that plays scripts. That the signatures are right is shown
 * by moto and botocore (tests/flow/test_aws_calls.py), how an answer is judged by
 * test_aws_answer.c; here: what is sent, and what is tried again.
 */
#include "tests/unit.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "lib/aws/aws_p.h"
#include "lib/base/mem.h"
#include "lib/base/now.h"
#include "tests/unit/fake_http.h"
#include "tests/unit/lib/aws/fake_credentials.h"

struct outcome {
    unsigned calls, attempts, status;
    enum rc rc;
    char text[480], code[96], request_id[160], body[256];
};

static struct loop *loop;
static struct fake *fake;
static struct http_client *client;
static struct aws *aws;
static char endpoint_url[128];
static unsigned requested, retried;
static char last_code[32], reasons[128];

static void on_requested(const char *service, const char *operation, const char *code, void *arg)
{
    (void)service, (void)operation, (void)arg;
    requested++;
    snprintf(last_code, sizeof(last_code), "%s", code);
}

static void on_retried(const char *service, const char *reason, void *arg)
{
    (void)service, (void)arg;
    retried++;
    snprintf(reasons + strlen(reasons), sizeof(reasons) - strlen(reasons), "%s ", reason);
}

static const char *no_env(const char *name)
{
    return strcmp(name, "AWS_ENDPOINT_URL") == 0 ? endpoint_url : NULL;
}

static void open_aws(struct aws_options options)
{
    options.watch = (struct aws_watch){.requested = on_requested, .retried = on_retried};
    options.getenv = options.getenv != NULL ? options.getenv : no_env;
    aws_free(aws);
    aws = aws_new(loop, NULL, client, &options);
}

static int set_up(void **state)
{
    (void)state;
    struct err err;

    loop = loop_new();
    fake = fake_new(loop);
    assert_int_equal(http_client_new(loop, &(struct http_client_options){0}, &client, &err), RC_OK);
    fake_credentials = (struct fake_credentials){.key_ids = {"AKIDONE", "AKIDTWO"}};
    snprintf(endpoint_url, sizeof(endpoint_url), "%s", fake_url(fake));
    requested = retried = 0;
    reasons[0] = '\0';
    open_aws((struct aws_options){.region = "eu-west-1"});
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    aws_free(aws);
    aws = NULL;
    http_client_free(client);
    fake_free(fake);
    loop_free(loop);
    return 0;
}

static void on_done(const struct aws_answer *answer, const struct err *err, void *arg)
{
    struct outcome *outcome = arg;

    outcome->calls++;
    outcome->attempts = answer->attempts;
    outcome->rc = err != NULL ? err->rc : RC_OK;
    snprintf(outcome->text, sizeof(outcome->text), "%s", err != NULL ? err->text : "");
    snprintf(outcome->code, sizeof(outcome->code), "%s", answer->code);
    snprintf(outcome->request_id, sizeof(outcome->request_id), "%s", answer->request_id);
    if (answer->http != NULL) {
        outcome->status = answer->http->status;
        snprintf(outcome->body, sizeof(outcome->body), "%s", answer->http->body);
    }
}

static const struct aws_request get_object = {.service = "s3",
                                              .operation = "GetObject",
                                              .method = "GET",
                                              .bucket = "my-bucket",
                                              .path = "/a key"};
static const struct aws_request put_object = {.service = "s3",
                                              .operation = "PutObject",
                                              .method = "PUT",
                                              .bucket = "my-bucket",
                                              .path = "/key",
                                              .body = "hello",
                                              .body_len = 5};
static const struct aws_request head_object = {.service = "s3",
                                               .operation = "HeadObject",
                                               .method = "HEAD",
                                               .bucket = "my-bucket",
                                               .path = "/key"};

static struct outcome run(const struct aws_request *request)
{
    struct outcome outcome = {0};

    aws_send(aws, request, on_done, &outcome);
    assert_int_equal(outcome.calls, 0);
    assert_int_equal(aws_busy(aws), 1);
    loop_run(loop);
    assert_int_equal(outcome.calls, 1);
    assert_int_equal(aws_busy(aws), 0);
    return outcome;
}

static const char *asked(unsigned index, const char *name)
{
    static char value[1024];

    fake_header(fake_request(fake, index), name, value, sizeof(value));
    return value;
}

#define PLAY(...)                                             \
    static const struct fake_answer script[] = {__VA_ARGS__}; \
    fake_script(fake, script, ARRAY_LEN(script))
#define XML_ERROR(code)                                                    \
    "<?xml version=\"1.0\"?><Error><Code>" code "</Code><Message>because " \
    "of it</Message><RequestId>R1</RequestId></Error>"

/* ---- what is sent */

static void a_request_to_s3_is_signed_with_the_hash_of_its_body(void **state)
{
    (void)state;
    struct outcome outcome;
    PLAY({.headers = "x-amz-request-id: ID1\r\nx-amz-id-2: two=\r\n", .body = "content"});

    fake_credentials.token = "a/token==";
    outcome = run(&put_object);
    assert_int_equal(outcome.rc, RC_OK);
    assert_int_equal(outcome.attempts, 1);
    assert_string_equal(outcome.request_id, "ID1/two=");
    assert_true(str_starts(fake_request(fake, 0)->head, "PUT /my-bucket/key HTTP/1.1\r\n"));
    assert_string_equal(fake_request(fake, 0)->body, "hello");
    assert_string_equal(asked(0, "host"), strstr(fake_url(fake), "//") + 2);
    assert_string_equal(asked(0, "x-amz-content-sha256"),
                        "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
    assert_string_equal(asked(0, "x-amz-security-token"), "a/token==");
    assert_int_equal(strlen(asked(0, "x-amz-date")), 16);
    assert_true(str_starts(asked(0, "authorization"), "AWS4-HMAC-SHA256 Credential=AKIDONE/"));
    assert_non_null(strstr(asked(0, "authorization"), "/eu-west-1/s3/aws4_request"));
    assert_non_null(strstr(asked(0, "authorization"),
                           "SignedHeaders=host;x-amz-content-sha256;x-amz-date;"
                           "x-amz-security-token"));
    assert_int_equal(requested, 1);
    assert_string_equal(last_code, "200");
    assert_int_equal(retried, 0);
}

static void a_body_with_a_checksum_is_not_hashed_on_its_way_to_this_host(void **state)
{
    (void)state;
    static const struct sigv4_pair checksum[] = {{"x-amz-checksum-crc32c", "mnG7TA=="}};
    struct aws_request request = put_object;
    PLAY({.status = 200});

    request.headers = checksum;
    request.header_count = 1;
    assert_int_equal(run(&request).rc, RC_OK);
    assert_string_equal(asked(0, "x-amz-content-sha256"), "UNSIGNED-PAYLOAD");
    assert_non_null(strstr(asked(0, "authorization"), "x-amz-checksum-crc32c;"));
}

static void keys_and_queries_are_encoded_once(void **state)
{
    (void)state;
    static const struct sigv4_pair query[] = {{"uploads", ""}, {"prefix", "a/b c+d"}};
    struct aws_request request = get_object;
    PLAY({.status = 200});

    request.path = "/a b/../%+\xc3\xa9//x";
    request.query = query;
    request.query_count = 2;
    run(&request);
    assert_true(str_starts(fake_request(fake, 0)->head,
                           "GET /my-bucket/a%20b/../%25%2B%C3%A9//x?prefix=a%2Fb%20c%2Bd&uploads= "
                           "HTTP/1.1\r\n"));
}

static void an_anonymous_request_shows_nothing(void **state)
{
    (void)state;
    PLAY({.status = 200});

    open_aws((struct aws_options){.anonymous = true});
    run(&get_object);
    assert_string_equal(asked(0, "authorization"), "");
    assert_string_equal(asked(0, "x-amz-date"), "");
    assert_string_equal(asked(0, "x-amz-content-sha256"), "");
    assert_int_equal(fake_credentials.asked, 0);
}

static void a_json_call_names_its_target(void **state)
{
    (void)state;
    struct outcome outcome = {0};
    PLAY({.headers = "x-amzn-RequestId: J1\r\n", .body = "{}"});

    aws_send_json(aws, "sqs", "1.0", "AmazonSQS.ReceiveMessage", NULL, "{\"a\":1}", 0, on_done,
                  &outcome);
    loop_run(loop);
    assert_int_equal(outcome.rc, RC_OK);
    assert_string_equal(outcome.request_id, "J1");
    assert_true(str_starts(fake_request(fake, 0)->head, "POST / HTTP/1.1\r\n"));
    assert_string_equal(fake_request(fake, 0)->body, "{\"a\":1}");
    assert_string_equal(asked(0, "x-amz-target"), "AmazonSQS.ReceiveMessage");
    assert_string_equal(asked(0, "content-type"), "application/x-amz-json-1.0");
    assert_string_equal(asked(0, "x-amz-content-sha256"), "");
    assert_non_null(strstr(asked(0, "authorization"), "/eu-west-1/sqs/aws4_request"));
    assert_non_null(strstr(asked(0, "authorization"), "content-type;host;x-amz-date;x-amz-target"));
}

static void a_queue_s_own_host_is_asked(void **state)
{
    (void)state;
    scoped(free) char *url = str_printf("%s/123456789012/queue", fake_url(fake));
    struct outcome outcome = {0};
    PLAY({.body = "{}"});

    snprintf(endpoint_url, sizeof(endpoint_url), "http://127.0.0.1:1");
    aws_send_json(aws, "sqs", "1.0", "AmazonSQS.ReceiveMessage", url, "{}", 0, on_done, &outcome);
    loop_run(loop);
    assert_int_equal(outcome.rc, RC_OK);
    assert_true(str_starts(fake_request(fake, 0)->head, "POST / HTTP/1.1\r\n"));
}

static void a_form_goes_to_the_topic_s_region(void **state)
{
    (void)state;
    static const struct sigv4_pair pairs[] = {
        {"TopicArn", "arn:aws:sns:ap-south-1:123456789012:topic"}, {"Message", "a&b =\xc3\xa9"}};
    struct outcome outcome = {0};
    PLAY({.body = "<PublishResponse/>"});

    aws_send_query(aws, "sns", "2010-03-31", "Publish", pairs, 2, on_done, &outcome);
    loop_run(loop);
    assert_int_equal(outcome.rc, RC_OK);
    assert_string_equal(fake_request(fake, 0)->body,
                        "Action=Publish&Version=2010-03-31&TopicArn=arn%3Aaws%3Asns%3A"
                        "ap-south-1%3A123456789012%3Atopic&Message=a%26b+%3D%C3%A9");
    assert_non_null(strstr(asked(0, "authorization"), "/ap-south-1/sns/aws4_request"));
    aws_send_query(aws, "sts", "2011-06-15", "GetCallerIdentity", NULL, 0, on_done, &outcome);
    loop_run(loop);
    assert_non_null(strstr(asked(1, "authorization"), "/eu-west-1/sts/aws4_request"));
}

/* ---- settings */

static const char *full_env(const char *name)
{
    return strcmp(name, "AWS_ENDPOINT_URL_S3") == 0 ? endpoint_url
           : strcmp(name, "AWS_ENDPOINT_URL") == 0  ? "http://127.0.0.1:1"
           : strcmp(name, "AWS_REGION") == 0        ? "us-west-2"
                                                    : NULL;
}

static const char *empty_env(const char *name)
{
    (void)name;
    return NULL;
}

static const char *ignoring_env(const char *name)
{
    return strcmp(name, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS") == 0 ? "true" : NULL;
}

static void the_environment_comes_before_the_profile(void **state)
{
    (void)state;
    PLAY({.status = 200});

    fake_credentials.region = "eu-south-1";
    fake_credentials.endpoint_url = "http://127.0.0.1:1";
    open_aws((struct aws_options){.getenv = full_env});
    assert_int_equal(run(&get_object).rc, RC_OK);
    assert_string_equal(aws_region(aws), "us-west-2");
}

static void the_profile_comes_before_the_default(void **state)
{
    (void)state;
    PLAY({.status = 200});

    fake_credentials.endpoint_url = endpoint_url;
    fake_credentials.region = "eu-south-1";
    open_aws((struct aws_options){.getenv = empty_env});
    assert_string_equal(aws_region(aws), "");
    assert_int_equal(run(&get_object).rc, RC_OK);
    assert_int_equal(run(&get_object).rc, RC_OK);
    assert_string_equal(aws_region(aws), "eu-south-1");
    assert_int_equal(fake_credentials.settings_asked, 1);
    fake_credentials.region = NULL;
    open_aws((struct aws_options){.endpoint_url = endpoint_url, .getenv = empty_env});
    run(&get_object);
    assert_string_equal(aws_region(aws), "us-east-1");
}

static void configured_endpoints_can_be_ignored(void **state)
{
    (void)state;
    fake_credentials.endpoint_url = endpoint_url;
    open_aws((struct aws_options){.getenv = ignoring_env, .region = "eu-west-1"});
    aws_settings_learn(aws, "s3", "", endpoint_url);
    assert_string_equal(aws_settings_endpoint(aws, "s3"), "");
}

static void settings_that_cannot_be_read_are_an_error(void **state)
{
    (void)state;
    struct outcome outcome;

    fake_credentials.settings_error = "profile 'x' is nowhere";
    outcome = run(&get_object);
    assert_int_equal(outcome.rc, RC_INVALID);
    assert_string_equal(outcome.text, "profile 'x' is nowhere");
}

static void no_credentials_is_one_clear_line(void **state)
{
    (void)state;
    struct outcome outcome;

    fake_credentials.error = "no credentials: environment: none";
    outcome = run(&get_object);
    assert_int_equal(outcome.rc, RC_HOST);
    assert_string_equal(outcome.text, "GetObject: no credentials: environment: none");
}

static void a_bad_bucket_or_region_is_refused_before_it_is_asked(void **state)
{
    (void)state;
    struct aws_request request = get_object;
    struct outcome outcome;
    PLAY({.status = 200});

    request.bucket = "a/b";
    outcome = run(&request);
    assert_int_equal(outcome.rc, RC_INVALID);
    open_aws((struct aws_options){.region = "evil.com/", .anonymous = true});
    aws_settings_learn(aws, "s3", "", ""); /* nothing is read: it fails inside aws_send() */
    outcome = run(&get_object);
    assert_int_equal(outcome.rc, RC_INVALID);
    assert_int_equal(fake_asked(fake), 0);
}

/* ---- how it is told */

static void an_error_says_what_where_why_and_which_request(void **state)
{
    (void)state;
    struct outcome outcome;
    PLAY({.status = 404, .body = XML_ERROR("NoSuchKey")},
         {.status = 403,
          .body = "<Error><Code>Ev\til</Code><Message>a&#10;b&#x85;c</Message></Error>"});

    outcome = run(&get_object);
    assert_string_equal(outcome.text,
                        "GetObject 's3://my-bucket/a key': NoSuchKey: because of it, request R1");
    outcome = run(&get_object);
    assert_null(strchr(outcome.text, '\n'));
    assert_null(strchr(outcome.text, '\t'));
    assert_null(strstr(outcome.text, "\xc2\x85"));
}

/* ---- what is tried again */

static void what_passes_is_tried_again(void **state)
{
    (void)state;
    struct outcome outcome;
    PLAY({.status = 503, .body = XML_ERROR("SlowDown"), .headers = "x-amz-retry-after: 5\r\n"},
         {.status = 500}, {.body = "at last"});

    outcome = run(&put_object);
    assert_int_equal(outcome.rc, RC_OK);
    assert_int_equal(outcome.attempts, 3);
    assert_string_equal(outcome.body, "at last");
    assert_string_equal(reasons, "throttle transient ");
    assert_int_equal(requested, 3);
    assert_string_equal(fake_request(fake, 2)->body, "hello");
}

static void attempts_have_an_end(void **state)
{
    (void)state;
    struct aws_request request = put_object;
    struct outcome outcome;
    PLAY({.status = 503, .body = XML_ERROR("SlowDown")});

    request.attempts = 2;
    outcome = run(&request);
    assert_int_equal(outcome.rc, RC_THROTTLED);
    assert_int_equal(outcome.attempts, 2);
    assert_true(str_ends(outcome.text, "SlowDown: because of it, request R1, 2 attempts"));
    request.attempts = 1;
    outcome = run(&request);
    assert_int_equal(outcome.attempts, 1);
    assert_int_equal(fake_asked(fake), 3);
}

static void an_empty_bucket_of_tokens_means_no_retry(void **state)
{
    (void)state;
    struct outcome outcome;
    PLAY({.status = 500});

    aws->bucket.tokens = RETRY_COST - 1;
    outcome = run(&get_object);
    assert_int_equal(outcome.attempts, 1);
    assert_int_equal(outcome.rc, RC_NETWORK);
}

static void a_broken_connection_is_replaced_by_a_new_one(void **state)
{
    (void)state;
    struct outcome outcome = {0};
    char sink[10];
    struct aws_request request = get_object;
    PLAY({.status = 200}, {.status = 200}, {.fault = FAKE_RESET, .body = "0123456789", .at = 4},
         {.body = "abcdefghij"});

    request.sink = sink;
    request.sink_len = sizeof(sink);
    aws_send(aws, &head_object, on_done, &outcome);
    aws_send(aws, &head_object, on_done, &outcome);
    loop_run(loop);
    assert_int_equal(fake_connections(fake), 2);
    outcome = run(&request);
    assert_int_equal(outcome.rc, RC_OK);
    assert_int_equal(outcome.attempts, 2);
    assert_memory_equal(sink, "abcdefghij", 10);
    assert_string_equal(reasons, "transient ");
    assert_int_equal(fake_connections(fake), 3); /* not by the other that was kept */
}

static void a_host_that_is_gone_is_a_network_failure_in_the_end(void **state)
{
    (void)state;
    struct aws_request request = get_object;
    struct outcome outcome;

    request.attempts = 2;
    open_aws((struct aws_options){.endpoint_url = "http://127.0.0.1:1"});
    outcome = run(&request);
    assert_int_equal(outcome.rc, RC_NETWORK);
    assert_int_equal(outcome.attempts, 2);
    assert_string_equal(last_code, "error");
    assert_true(str_starts(outcome.text, "GetObject 's3://my-bucket/a key': http://127.0.0.1:1: "));
}

static void a_200_may_hold_an_error(void **state)
{
    (void)state;
    struct aws_request request = put_object;
    struct outcome outcome;
    PLAY({.body = "   \n" XML_ERROR("InternalError")}, {.body = ""},
         {.body = "<CopyObjectResult><ETag>x</ETag></CopyObjectResult>"},
         {.body = XML_ERROR("AccessDenied")}, {.body = "<a>cut"});

    request.in_body = true;
    outcome = run(&request);
    assert_int_equal(outcome.rc, RC_OK);
    assert_int_equal(outcome.attempts, 3);
    outcome = run(&request);
    assert_int_equal(outcome.rc, RC_DENIED);
    assert_string_equal(outcome.code, "AccessDenied");
    request.attempts = 1;
    outcome = run(&request);
    assert_int_equal(outcome.rc, RC_NETWORK);
}

static enum rc is_ok(const struct http_answer *http, void *arg, struct err *err)
{
    (void)arg;
    return strcmp(http->body, "ok") == 0 ? RC_OK : err_set(err, RC_CORRUPT, "it is not ok");
}

static void an_answer_that_is_not_the_service_s_is_asked_for_again(void **state)
{
    (void)state;
    struct aws_request request = put_object;
    struct outcome outcome;
    PLAY({.body = "<html>"}, {.body = "ok"}, {.body = "no"}, {.body = "no"}, {.body = "no"},
         {.status = 403, .headers = "Content-Type: text/html\r\n", .body = "<html>please log in"},
         {.body = "ok"},
         {.status = 403,
          .headers = "Content-Type: text/html\r\nx-amz-request-id: 1\r\n",
          .body = "<html>no"},
         {.body = "<html/>"}, {.body = "[]"}, {.body = "{}"});

    request.check = is_ok;
    outcome = run(&request);
    assert_int_equal(outcome.rc, RC_OK);
    assert_int_equal(outcome.attempts, 2);
    outcome = run(&request);
    assert_int_equal(outcome.rc, RC_NETWORK);
    assert_non_null(strstr(outcome.text, "it is not ok"));
    outcome = run(&request); /* a page, whatever its status */
    assert_int_equal(outcome.rc, RC_OK);
    assert_int_equal(outcome.attempts, 2);
    assert_int_equal(run(&request).rc, RC_DENIED);
    outcome = (struct outcome){0};
    aws_send_json(aws, "glue", "1.1", "AWSGlue.GetTable", NULL, "{}", 0, on_done, &outcome);
    loop_run(loop);
    assert_int_equal(outcome.rc, RC_OK);
    assert_int_equal(outcome.attempts, 3);
}

/* ---- what is mended */

static void a_skewed_clock_is_put_right_and_stays_so(void **state)
{
    (void)state;
    char date[64], headers[128];
    const time_t there = (time_t)(now_wall_ms() / 1000 + 7200);
    struct outcome outcome;
    struct tm tm;

    strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&there, &tm));
    snprintf(headers, sizeof(headers), "Date: %s\r\n", date);
    const struct fake_answer script[] = {
        {.status = 403, .headers = headers, .body = XML_ERROR("RequestTimeTooSkewed")},
        {.status = 200},
        {.status = 200},
        {.status = 403, .headers = headers, .body = XML_ERROR("RequestTimeTooSkewed")},
    };
    fake_script(fake, script, ARRAY_LEN(script));
    outcome = run(&put_object);
    assert_int_equal(outcome.rc, RC_OK);
    assert_string_equal(reasons, "skew ");
    assert_true(llabs(aws_clock_offset_s(aws) - 7200) <= 2);
    run(&put_object);
    assert_int_equal(fake_asked(fake), 3);
    for (unsigned i = 1; i < 3; i++) {
        char wanted[SIGV4_DATE];
        bool near = false;

        for (int64_t s = -5; s < 30; s++) {
            sigv4_date(there + s, wanted);
            near = near || strcmp(asked(i, "x-amz-date"), wanted) == 0;
        }
        assert_true(near);
    }
    outcome = run(&put_object); /* its clock is ours now: this is not the reason */
    assert_int_equal(outcome.rc, RC_HOST);
    assert_int_equal(fake_asked(fake), 4);
}

static void a_clock_that_differs_a_little_is_known_and_no_reason_to_repeat(void **state)
{
    (void)state;
    char date[64], headers[128];
    const time_t there = (time_t)(now_wall_ms() / 1000 - 100);
    struct tm tm;

    strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&there, &tm));
    snprintf(headers, sizeof(headers), "Date: %s\r\n", date);
    const struct fake_answer script[] = {{.status = 200, .headers = headers}, {.status = 200}};

    fake_script(fake, script, ARRAY_LEN(script));
    assert_int_equal(run(&put_object).rc, RC_OK);
    assert_in_range(-aws_clock_offset_s(aws), 99, 120);
    assert_int_equal(run(&put_object).rc, RC_OK); /* an answer without a date says nothing */
    assert_in_range(-aws_clock_offset_s(aws), 99, 120);
    assert_string_equal(reasons, "");
}

static void a_head_s_refusal_may_be_the_clock_s_fault(void **state)
{
    (void)state;
    PLAY({.status = 403, .headers = "Date: Mon, 12 Oct 2009 17:50:30 GMT\r\n"}, {.status = 200});

    assert_int_equal(run(&head_object).rc, RC_OK);
    assert_string_equal(reasons, "skew ");
    assert_true(str_starts(asked(1, "x-amz-date"), "20091012T1750"));
}

static void a_clock_that_jumps_is_followed_once(void **state)
{
    (void)state;
    struct outcome outcome;
    PLAY({.status = 403, .headers = "Date: Mon, 12 Oct 2009 17:50:30 GMT\r\n"},
         {.status = 403, .headers = "Date: Tue, 13 Oct 2009 17:50:30 GMT\r\n"});

    outcome = run(&head_object);
    assert_int_equal(outcome.rc, RC_DENIED);
    assert_int_equal(fake_asked(fake), 2);
}

static void a_bucket_s_region_is_followed_and_remembered(void **state)
{
    (void)state;
    static const struct fake_answer redirects[] = {
        {.status = 301, .headers = "x-amz-bucket-region: ap-east-1\r\n"},
        {.status = 400,
         .body = "<Error><Code>AuthorizationHeaderMalformed</Code><Message>m</Message>"
                 "<Region>ap-east-1</Region></Error>"},
        {.status = 307, .headers = "x-amz-bucket-region: ap-east-1\r\nLocation: http://evil/\r\n"},
        {.status = 301,
         .body = "<Error><Code>PermanentRedirect</Code><Endpoint>my-bucket.s3-ap-east-1"
                 ".amazonaws.com</Endpoint></Error>"},
    };

    for (unsigned i = 0; i < ARRAY_LEN(redirects); i++) {
        const struct fake_answer script[] = {redirects[i], {.status = 200}};

        open_aws((struct aws_options){.region = "eu-west-1"});
        reasons[0] = '\0';
        fake_script(fake, script, 2);
        assert_int_equal(run(&get_object).rc, RC_OK);
        assert_string_equal(reasons, "region ");
        assert_non_null(strstr(asked(0, "authorization"), "/eu-west-1/s3/"));
        assert_non_null(strstr(asked(1, "authorization"), "/ap-east-1/s3/"));
        assert_int_equal(run(&get_object).rc, RC_OK);
        assert_non_null(strstr(asked(2, "authorization"), "/ap-east-1/s3/"));
        assert_int_equal(fake_asked(fake), 3);
    }
}

static void a_redirect_without_a_region_asks_the_bucket(void **state)
{
    (void)state;
    PLAY({.status = 301, .body = XML_ERROR("PermanentRedirect")},
         {.status = 403, .headers = "x-amz-bucket-region: sa-east-1\r\n"}, {.status = 200});

    assert_int_equal(run(&get_object).rc, RC_OK);
    assert_true(str_starts(fake_request(fake, 1)->head, "HEAD /my-bucket/ HTTP/1.1\r\n"));
    assert_string_equal(asked(1, "authorization"), "");
    assert_non_null(strstr(asked(2, "authorization"), "/sa-east-1/s3/"));
}

static void redirects_have_an_end(void **state)
{
    (void)state;
    static const struct fake_answer round[] = {
        {.status = 301, .headers = "x-amz-bucket-region: ap-east-1\r\n"},
        {.status = 301, .headers = "x-amz-bucket-region: eu-west-1\r\n"}};
    static const struct fake_answer nowhere[] = {
        {.status = 301, .body = XML_ERROR("PermanentRedirect")}};
    struct outcome outcome;

    fake_script(fake, round, 2);
    outcome = run(&get_object);
    assert_int_equal(outcome.rc, RC_INVALID);
    assert_int_equal(fake_asked(fake), 2);
    open_aws((struct aws_options){.region = "eu-west-1"});
    fake_script(fake, nowhere, 1);
    outcome = run(&get_object);
    assert_int_equal(outcome.rc, RC_INVALID);
    assert_non_null(strstr(outcome.text, "'my-bucket' is not in region 'eu-west-1'"));
    assert_int_equal(fake_asked(fake), 2);
}

static void old_credentials_are_given_back_for_new_ones(void **state)
{
    (void)state;
    struct outcome outcome;
    PLAY({.status = 400, .body = XML_ERROR("ExpiredToken")}, {.status = 200},
         {.status = 400, .body = XML_ERROR("ExpiredToken")});

    outcome = run(&get_object);
    assert_int_equal(outcome.rc, RC_OK);
    assert_string_equal(reasons, "credentials ");
    assert_non_null(strstr(asked(0, "authorization"), "AKIDONE"));
    assert_non_null(strstr(asked(1, "authorization"), "AKIDTWO"));
    outcome = run(&get_object); /* the new ones are refused too */
    assert_int_equal(outcome.rc, RC_HOST);
    assert_int_equal(fake_asked(fake), 4);
}

/* ---- canceling */

static struct outcome canceled;

static void cancel_after(const struct aws_request *request, unsigned turns)
{
    struct aws_call *call;

    canceled = (struct outcome){0};
    call = aws_send(aws, request, on_done, &canceled);
    for (unsigned i = 0; i < turns; i++) {
        uv_run(loop_uv(loop), UV_RUN_NOWAIT);
    }
    if (canceled.calls > 0) {
        return;
    }
    aws_cancel(call);
    aws_cancel(call);
    assert_int_equal(canceled.calls, 0);
    loop_run(loop);
    assert_int_equal(canceled.calls, 1);
    assert_int_equal(canceled.rc, RC_CANCELED);
    assert_int_equal(aws_busy(aws), 0);
}

static void a_call_can_be_canceled_at_every_step(void **state)
{
    (void)state;
    PLAY({.fault = FAKE_SILENT});

    for (unsigned turns = 0; turns < 12; turns++) {
        open_aws((struct aws_options){.region = "eu-west-1"});
        cancel_after(&get_object, turns);
        assert_int_equal(canceled.calls, 1);
    }
    static const struct fake_answer busy[] = {{.status = 503}};
    fake_script(fake, busy, 1);
    for (unsigned turns = 0; turns < 12; turns++) { /* also while it waits for the next attempt */
        cancel_after(&get_object, turns);
    }
}

static void many_calls_at_once_end_each_once(void **state)
{
    (void)state;
    static struct outcome outcomes[200];
    PLAY({.status = 200});

    memset(outcomes, 0, sizeof(outcomes));
    for (unsigned i = 0; i < ARRAY_LEN(outcomes); i++) {
        aws_send(aws, &put_object, on_done, &outcomes[i]);
    }
    assert_int_equal(aws_busy(aws), ARRAY_LEN(outcomes));
    loop_run(loop);
    for (unsigned i = 0; i < ARRAY_LEN(outcomes); i++) {
        assert_int_equal(outcomes[i].calls, 1);
        assert_int_equal(outcomes[i].rc, RC_OK);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_request_to_s3_is_signed_with_the_hash_of_its_body),
        TEST(a_body_with_a_checksum_is_not_hashed_on_its_way_to_this_host),
        TEST(keys_and_queries_are_encoded_once),
        TEST(an_anonymous_request_shows_nothing),
        TEST(a_json_call_names_its_target),
        TEST(a_queue_s_own_host_is_asked),
        TEST(a_form_goes_to_the_topic_s_region),
        TEST(the_environment_comes_before_the_profile),
        TEST(the_profile_comes_before_the_default),
        TEST(configured_endpoints_can_be_ignored),
        TEST(settings_that_cannot_be_read_are_an_error),
        TEST(no_credentials_is_one_clear_line),
        TEST(a_bad_bucket_or_region_is_refused_before_it_is_asked),
        TEST(an_error_says_what_where_why_and_which_request),
        TEST(what_passes_is_tried_again),
        TEST(attempts_have_an_end),
        TEST(an_empty_bucket_of_tokens_means_no_retry),
        TEST(a_broken_connection_is_replaced_by_a_new_one),
        TEST(a_host_that_is_gone_is_a_network_failure_in_the_end),
        TEST(a_200_may_hold_an_error),
        TEST(an_answer_that_is_not_the_service_s_is_asked_for_again),
        TEST(a_skewed_clock_is_put_right_and_stays_so),
        TEST(a_clock_that_differs_a_little_is_known_and_no_reason_to_repeat),
        TEST(a_head_s_refusal_may_be_the_clock_s_fault),
        TEST(a_clock_that_jumps_is_followed_once),
        TEST(a_bucket_s_region_is_followed_and_remembered),
        TEST(a_redirect_without_a_region_asks_the_bucket),
        TEST(redirects_have_an_end),
        TEST(old_credentials_are_given_back_for_new_ones),
        TEST(a_call_can_be_canceled_at_every_step),
        TEST(many_calls_at_once_end_each_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
