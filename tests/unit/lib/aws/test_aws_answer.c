/** @file
 * An answer judged: the service's name of an error, and what it means for the caller.
 */
#include "tests/unit.h"

#include <stdio.h>

#include "lib/aws/aws_p.h"
#include "lib/base/mem.h"

#define XML_ERROR(code)                                                    \
    "<?xml version=\"1.0\"?><Error><Code>" code "</Code><Message>because " \
    "of it</Message><RequestId>R1</RequestId></Error>"

#define QUERY_ERROR(code)                                                    \
    "<ErrorResponse><Error><Type>Sender</Type><Code>" code "</Code></Error>" \
    "</ErrorResponse>"

struct said {
    unsigned status;
    const char *body;
    struct http_header header;
};

static void judge(const struct said *said, const struct aws_request *request,
                  struct aws_verdict *ret_verdict)
{
    const struct http_answer answer = {.status = said->status,
                                       .headers = &said->header,
                                       .header_count = said->header.name != NULL,
                                       .body = said->body != NULL ? said->body : "",
                                       .body_len = said->body != NULL ? strlen(said->body) : 0};

    aws_judge(request, &answer, NULL, ret_verdict);
}

static const struct {
    struct said answer;
    bool put;
    enum rc rc;
    const char *code;
} verdicts[] = {
    {{.status = 404, .body = XML_ERROR("NoSuchKey")}, false, RC_NOT_FOUND, "NoSuchKey"},
    {{.status = 404, .body = XML_ERROR("NoSuchVersion")}, false, RC_CHANGED, "NoSuchVersion"},
    {{.status = 404}, false, RC_NOT_FOUND, ""},
    {{.status = 403, .body = XML_ERROR("AccessDenied")}, false, RC_DENIED, "AccessDenied"},
    {{.status = 401, .body = "<html><body>login<br></body>"}, false, RC_DENIED, ""},
    {{.status = 412, .body = XML_ERROR("PreconditionFailed")}, false, RC_CHANGED, NULL},
    {{.status = 412, .body = XML_ERROR("PreconditionFailed")}, true, RC_CONFLICT, NULL},
    {{.status = 409, .body = XML_ERROR("BucketNotEmpty")}, true, RC_CONFLICT, "BucketNotEmpty"},
    {{.status = 416, .body = XML_ERROR("InvalidRange")}, false, RC_INVALID, "InvalidRange"},
    {{.status = 501, .body = XML_ERROR("NotImplemented")}, false, RC_UNSUPPORTED, NULL},
    {{.status = 304}, false, RC_INVALID, ""},
    {{.status = 400,
      .body = "{\"__type\":\"com.amazonaws.sqs#QueueDoesNotExist\",\"message\":\"m\"}",
      .header = {"x-amzn-query-error", "AWS.SimpleQueueService.NonExistentQueue;Sender"}},
     true,
     RC_NOT_FOUND,
     "QueueDoesNotExist"},
    {{.status = 400,
      .header = {"x-amzn-query-error", "AWS.SimpleQueueService.NonExistentQueue;Sender"}},
     true,
     RC_NOT_FOUND,
     "AWS.SimpleQueueService.NonExistentQueue"},
    {{.status = 400, .header = {"x-amzn-errortype", "EntityNotFoundException:http://internal/"}},
     true,
     RC_NOT_FOUND,
     "EntityNotFoundException"},
    {{.status = 403,
      .body = "<ErrorResponse xmlns='x'><Error><Type>Sender</Type><Code>AuthorizationError</Code>"
              "<Message>no</Message></Error><RequestId>Q</RequestId></ErrorResponse>"},
     true,
     RC_DENIED,
     "AuthorizationError"},
    {{.status = 403,
      .body = "<ErrorResponse><Errors><Error><Code>SignatureDoesNotMatch</Code></Error></Errors>"
              "</ErrorResponse>"},
     true,
     RC_HOST,
     "SignatureDoesNotMatch"},
    {{.status = 400, .body = "{ broken"}, true, RC_INVALID, ""},
    {{.status = 400, .body = "[1]"}, true, RC_INVALID, ""},
    {{.status = 400, .body = "{\"__type\":5,\"message\":[]}"}, true, RC_INVALID, ""},
    {{.status = 429}, false, RC_THROTTLED, ""},
    {{.status = 503, .body = XML_ERROR("SlowDown")}, true, RC_THROTTLED, "SlowDown"},
    {{.status = 307, .body = XML_ERROR("TemporaryRedirect")},
     true,
     RC_NETWORK,
     "TemporaryRedirect"},
    {{.status = 503, .body = "<html>busy"}, true, RC_NETWORK, ""},
    {{.status = 500, .body = XML_ERROR("InternalError")}, true, RC_NETWORK, "InternalError"},
    {{.status = 400, .body = XML_ERROR("KMS.DisabledException")}, false, RC_HOST, NULL},
    {{.status = 400, .body = XML_ERROR("KMS.NotFoundException")}, false, RC_HOST, NULL},
    {{.status = 400, .body = XML_ERROR("KMS.KMSInvalidStateException")}, true, RC_HOST, NULL},
    {{.status = 400, .body = XML_ERROR("KMS.ThrottlingException")}, false, RC_THROTTLED, NULL},
    {{.status = 503, .body = XML_ERROR("KMS.ThrottlingException")}, false, RC_THROTTLED, NULL},
    {{.status = 500, .body = XML_ERROR("KMS.KMSInternalException")}, false, RC_NETWORK, NULL},
    {{.status = 400, .body = "{\"__type\":\"com.amazonaws.sqs#KmsDisabled\"}"},
     true,
     RC_HOST,
     "KmsDisabled"},
    {{.status = 400, .body = "{\"__type\":\"com.amazonaws.sqs#KmsAccessDenied\"}"},
     true,
     RC_HOST,
     "KmsAccessDenied"},
    {{.status = 400, .body = "{\"__type\":\"com.amazonaws.sqs#KmsThrottled\"}"},
     true,
     RC_THROTTLED,
     "KmsThrottled"},
    {{.status = 400, .body = QUERY_ERROR("KMSOptInRequired")}, true, RC_HOST, "KMSOptInRequired"},
    {{.status = 400, .body = QUERY_ERROR("KMSThrottling")}, true, RC_THROTTLED, "KMSThrottling"},
};

static void each_answer_has_its_code(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(verdicts); i++) {
        const struct aws_request request = {.service = "s3",
                                            .method = verdicts[i].put ? "PUT" : "GET"};
        struct aws_verdict verdict;

        judge(&verdicts[i].answer, &request, &verdict);
        if (verdict.rc != verdicts[i].rc) {
            fail_msg("case %u: %s %s", i, rc_name(verdict.rc), verdict.code);
        }
        if (verdicts[i].code != NULL) {
            assert_string_equal(verdict.code, verdicts[i].code);
        }
        assert_true((verdict.retry != RETRY_NONE) ==
                    (verdict.rc == RC_THROTTLED || verdict.rc == RC_NETWORK));
    }
}

static void a_version_that_is_gone_has_changed(void **state)
{
    (void)state;
    static const struct sigv4_pair query = {"versionId", "v1"};
    const struct aws_request request = {
        .service = "s3", .method = "HEAD", .query = &query, .query_count = 1};
    struct aws_verdict verdict;

    judge(&(struct said){.status = 404}, &request, &verdict);
    assert_int_equal(verdict.rc, RC_CHANGED);
}

/** It is how S3 answers a HEAD with a token that has expired. */
static void a_heads_400_without_a_reason_is_not_the_objects_fault(void **state)
{
    (void)state;
    const struct aws_request head = {.service = "s3", .method = "HEAD"};
    const struct aws_request get = {.service = "s3", .method = "GET"};
    struct aws_verdict verdict;

    judge(&(struct said){.status = 400}, &head, &verdict);
    assert_int_equal(verdict.rc, RC_HOST);
    assert_true(verdict.expired);
    judge(&(struct said){.status = 400}, &get, &verdict);
    assert_int_equal(verdict.rc, RC_INVALID);
    assert_false(verdict.expired);
}

static void a_service_may_say_when_to_come_again(void **state)
{
    (void)state;
    static const struct {
        struct http_header header;
        int64_t after_ms;
    } cases[] = {
        {{"x-amz-retry-after", "1500"}, 1500},
        {{"x-amz-retry-after", "99999999"}, RETRY_CAP_MS},
        {{"retry-after", "3"}, 3000},
        {{"retry-after", "99999999999999"}, RETRY_CAP_MS},
        {{"retry-after", "-1"}, -1},
        {{"retry-after", "Mon, 12 Oct 2009 17:50:30 GMT"}, -1},
        {{"other", "1"}, -1},
    };

    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        const struct aws_request request = {.service = "s3", .method = "GET"};
        struct aws_verdict verdict;

        judge(&(struct said){.status = 503, .header = cases[i].header}, &request, &verdict);
        assert_int_equal(verdict.after_ms, cases[i].after_ms);
    }
}

static enum rc is_fine(const struct http_answer *http, void *arg, struct err *err)
{
    (void)http, (void)arg, (void)err;
    return RC_OK;
}

/** Who checks an answer reads it, too: it is read here only if it may tell of an error. */
static void a_200_is_read_once_unless_it_speaks_of_an_error(void **state)
{
    static const struct {
        const char *body;
        enum rc unchecked, checked;
    } cases[] = {
        {"<CopyObjectResult/>", RC_OK, RC_OK},
        {"<a>cut", RC_NETWORK, RC_OK}, /* its check will say so */
        {"", RC_NETWORK, RC_OK},
        {XML_ERROR("AccessDenied"), RC_DENIED, RC_DENIED},
        {" \n<s:Error xmlns:s='x'><Code>AccessDenied</Code></s:Error>", RC_DENIED, RC_DENIED},
        {"<a>Error", RC_NETWORK, RC_NETWORK},
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        struct aws_request request = {.service = "s3", .method = "PUT", .in_body = true};
        const struct said said = {.status = 200, .body = cases[i].body};
        struct aws_verdict verdict;

        judge(&said, &request, &verdict);
        assert_int_equal(verdict.rc, cases[i].unchecked);
        request.check = is_fine;
        judge(&said, &request, &verdict);
        assert_int_equal(verdict.rc, cases[i].checked);
    }
}

static void dates_are_read_strictly(void **state)
{
    (void)state;
    assert_int_equal(aws_parse_date("Mon, 12 Oct 2009 17:50:30 GMT"), 1255369830);
    assert_int_equal(aws_parse_date("Thu, 01 Jan 1970 00:00:01 GMT"), 1);
    assert_int_equal(aws_parse_date(""), 0);
    assert_int_equal(aws_parse_date("Mon, 32 Oct 2009 17:50:30 GMT"), 0);
    assert_int_equal(aws_parse_date("Mon, 12 anF 2009 17:50:30 GMT"), 0);
    assert_int_equal(aws_parse_date("Mon, 12 Oct 99999 17:50:30 GMT"), 0);
    assert_int_equal(aws_parse_date("2009-10-12T17:50:30Z"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_answer_has_its_code),
        cmocka_unit_test(a_version_that_is_gone_has_changed),
        cmocka_unit_test(a_heads_400_without_a_reason_is_not_the_objects_fault),
        cmocka_unit_test(a_service_may_say_when_to_come_again),
        cmocka_unit_test(a_200_is_read_once_unless_it_speaks_of_an_error),
        cmocka_unit_test(dates_are_read_strictly),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
