/** @file
 * SQS: what is asked, and what is believed of the answers. Answers are as the service's own
 * documentation and moto write them.
 */
#include "tests/unit.h"

#include <jansson.h>
#include <string.h>

#include "lib/aws/sqs.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "tests/unit/lib/aws/fake_aws.h"

#define QUEUE "https://sqs.us-east-1.amazonaws.com/123456789012/raw"

static struct sqs_seen {
    unsigned calls, count;
    enum rc rc;
    char text[480], why[300];
    char id[80], handle[64], body[2000], fault[100];
    unsigned receive_count;
    int64_t sent_ms, first_ms;
    enum sqs_fate fates[SQS_BATCH];
    bool fates_null;
    unsigned visibility_s, retention_s;
    uint64_t messages, in_flight;
    char redrive[200];
} seen;

static void note_error(const struct err *err)
{
    seen.calls++;
    seen.rc = err != NULL ? err->rc : RC_OK;
    snprintf(seen.text, sizeof(seen.text), "%s", err != NULL ? err->text : "");
}

static void on_messages(const struct sqs_message *messages, unsigned count, const struct err *err,
                        void *arg)
{
    (void)arg;
    note_error(err);
    seen.count = count;
    if (count > 0) {
        const struct sqs_message *last = &messages[count - 1];

        snprintf(seen.id, sizeof(seen.id), "%s", last->id);
        snprintf(seen.handle, sizeof(seen.handle), "%s", last->handle);
        snprintf(seen.body, sizeof(seen.body), "%s", last->body);
        snprintf(seen.fault, sizeof(seen.fault), "%s", last->fault);
        seen.receive_count = last->receive_count;
        seen.sent_ms = last->sent_ms;
        seen.first_ms = last->first_received_ms;
    }
}

static void on_batch(const enum sqs_fate *fates, unsigned count, const char *why,
                     const struct err *err, void *arg)
{
    (void)arg;
    note_error(err);
    seen.count = count;
    seen.fates_null = fates == NULL;
    snprintf(seen.why, sizeof(seen.why), "%s", why);
    for (unsigned i = 0; i < count; i++) {
        seen.fates[i] = fates[i];
    }
}

static void on_attributes(const struct sqs_attributes *attributes, const struct err *err, void *arg)
{
    (void)arg;
    note_error(err);
    if (attributes != NULL) {
        seen.visibility_s = attributes->visibility_s;
        seen.retention_s = attributes->retention_s;
        seen.messages = attributes->messages;
        seen.in_flight = attributes->in_flight;
        snprintf(seen.redrive, sizeof(seen.redrive), "%s", attributes->redrive_policy);
    }
}

static int begin(void **state)
{
    (void)state;
    seen = (struct sqs_seen){0};
    return 0;
}

static int end(void **state)
{
    (void)state;
    fake_done();
    return 0;
}

static void receive(const char *answer)
{
    sqs_receive(NULL, QUEUE, 10, 20, 120, on_messages, NULL);
    fake_answer(200, answer, "", NULL);
}

/** A member of what was sent, as compact JSON. */
static void assert_sent(const char *name, const char *expected)
{
    json_t *root = json_loads(fake_call.body, 0, NULL);
    assert_non_null(root);
    char *text = json_dumps(json_object_get(root, name), JSON_COMPACT | JSON_ENCODE_ANY);

    assert_string_equal(text, expected);
    free(text);
    json_decref(root);
}

static void a_receive_asks_for_what_it_was_told_to_and_for_more_time_than_the_poll(void **state)
{
    (void)state;
    sqs_receive(NULL, QUEUE, 7, 20, 120, on_messages, NULL);
    assert_string_equal(fake_call.operation, "ReceiveMessage");
    assert_string_equal(fake_call.url, QUEUE);
    assert_sent("QueueUrl", "\"" QUEUE "\"");
    assert_sent("MaxNumberOfMessages", "7");
    assert_sent("WaitTimeSeconds", "20");
    assert_sent("VisibilityTimeout", "120");
    assert_true(fake_call.total_ms > 20000);
    assert_true(fake_call.body_max >= 20u << 20);
    fake_answer(200, "{}", "", NULL);
    assert_int_equal(seen.calls, 1);
    assert_int_equal(seen.rc, RC_OK);
    assert_int_equal(seen.count, 0);
}

static void a_message_is_read_with_its_times_and_count(void **state)
{
    (void)state;
    receive("{\"Messages\":[{\"MessageId\":\"m-1\",\"ReceiptHandle\":\"h-1\",\"MD5OfBody\":\"x\","
            "\"Body\":\"{\\\"Records\\\":[]}\",\"Attributes\":{\"ApproximateReceiveCount\":\"3\","
            "\"SentTimestamp\":\"1700000000123\","
            "\"ApproximateFirstReceiveTimestamp\":\"1700000000456\"}}]}");
    assert_int_equal(seen.rc, RC_OK);
    assert_int_equal(seen.count, 1);
    assert_string_equal(seen.id, "m-1");
    assert_string_equal(seen.handle, "h-1");
    assert_string_equal(seen.body, "{\"Records\":[]}");
    assert_int_equal(seen.receive_count, 3);
    assert_true(seen.sent_ms == 1700000000123);
    assert_true(seen.first_ms == 1700000000456);
}

static void attributes_that_are_missing_or_wrong_are_not_needed(void **state)
{
    (void)state;
    receive("{\"Messages\":[{\"MessageId\":\"m\",\"ReceiptHandle\":\"h\",\"Body\":\"\","
            "\"Attributes\":{\"ApproximateReceiveCount\":\"-1\",\"SentTimestamp\":[]}}]}");
    assert_int_equal(seen.rc, RC_OK);
    assert_int_equal(seen.receive_count, 1);
    assert_true(seen.sent_ms == 0);
    receive("{\"Messages\":null}");
    assert_int_equal(seen.rc, RC_OK);
    assert_int_equal(seen.count, 0);
}

static void answers_that_are_not_what_the_protocol_promises_are_refused(void **state)
{
    static const char *const answers[] = {
        "", "[]", "not json", "{\"Messages\":{}}", "{\"Messages\":[1,2,3,4,5,6,7,8,9,10,11]}",
    };

    (void)state;
    for (unsigned i = 1; i < ARRAY_LEN(answers); i++) {
        seen.rc = RC_OK;
        receive(answers[i]);
        assert_int_equal(seen.rc, RC_NETWORK);
        assert_int_equal(seen.count, 0);
    }
    receive(answers[0]); /* nothing at all is an empty answer */
    assert_int_equal(seen.rc, RC_OK);
}

/** Ten are received at once, and nine of them are as they should be. */
static void a_message_that_is_none_comes_with_the_others_as_it_came(void **state)
{
    static const struct {
        const char *message, *id, *handle, *body;
    } cases[] = {
        {"{\"MessageId\":\"m\",\"Body\":\"b\"}", "m", "", NULL},
        {"{\"MessageId\":\"m\",\"ReceiptHandle\":\"h\"}", "m", "h", NULL},
        {"{\"MessageId\":\"\",\"ReceiptHandle\":\"h\",\"Body\":\"b\"}", NULL, "h", NULL},
        {"{\"MessageId\":7,\"ReceiptHandle\":\"h\",\"Body\":\"b\"}", NULL, "h", NULL},
        {"{\"MessageId\":\"m\",\"ReceiptHandle\":\"h\",\"Body\":{\"a\":1}}", "m", "h", NULL},
        {"null", NULL, "", NULL},
        {"\"text\"", NULL, "", NULL},
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        scoped(free) char *answer =
            str_printf("{\"Messages\":[{\"MessageId\":\"good\",\"ReceiptHandle\":\"g\",\"Body\":"
                       "\"x\"},%s]}",
                       cases[i].message);

        receive(answer);
        assert_int_equal(seen.rc, RC_OK);
        assert_int_equal(seen.count, 2);
        assert_string_not_equal(seen.fault, "");
        assert_string_equal(seen.body, cases[i].message);
        assert_string_equal(seen.handle, cases[i].handle);
        if (cases[i].id != NULL) {
            assert_string_equal(seen.id, cases[i].id);
        } else {
            assert_int_equal(strlen(seen.id), 64);
        }
    }
    receive("{\"Messages\":[null,{\"MessageId\":\"m\",\"ReceiptHandle\":\"h\",\"Body\":\"b\"}]}");
    assert_int_equal(seen.count, 2);
    assert_string_equal(seen.fault, "");
    assert_string_equal(seen.body, "b");
}

static void an_error_of_the_call_is_handed_on(void **state)
{
    struct err err;

    (void)state;
    err_set(&err, RC_NOT_FOUND, "ReceiveMessage: QueueDoesNotExist");
    sqs_receive(NULL, QUEUE, 10, 20, 120, on_messages, NULL);
    fake_answer(400, NULL, "QueueDoesNotExist", &err);
    assert_int_equal(seen.rc, RC_NOT_FOUND);
    assert_string_equal(seen.text, "ReceiveMessage: QueueDoesNotExist");
}

static void each_entry_of_a_batch_has_its_own_fate(void **state)
{
    const char *const handles[] = {"a", "b\"", "c", "d", "e", "f"};

    (void)state;
    sqs_delete(NULL, QUEUE, handles, 6, on_batch, NULL);
    assert_string_equal(fake_call.operation, "DeleteMessageBatch");
    assert_string_equal(fake_call.version, "1.0");
    assert_sent("Entries", "[{\"Id\":\"0\",\"ReceiptHandle\":\"a\"},"
                           "{\"Id\":\"1\",\"ReceiptHandle\":\"b\\\"\"},"
                           "{\"Id\":\"2\",\"ReceiptHandle\":\"c\"},"
                           "{\"Id\":\"3\",\"ReceiptHandle\":\"d\"},"
                           "{\"Id\":\"4\",\"ReceiptHandle\":\"e\"},"
                           "{\"Id\":\"5\",\"ReceiptHandle\":\"f\"}]");
    fake_answer(
        200,
        "{\"Successful\":[{\"Id\":\"0\"},{\"Id\":\"17\"},{\"Id\":3}],\"Failed\":["
        "{\"Id\":\"1\",\"SenderFault\":false,\"Code\":\"InternalError\",\"Message\":\"oops\"},"
        "{\"Id\":\"2\",\"SenderFault\":true,\"Code\":\"ReceiptHandleIsInvalid\",\"Message\":\"\"},"
        "{\"Id\":\"3\",\"SenderFault\":true,\"Code\":\"InvalidParameterValue\"},"
        "{\"Id\":\"4\",\"SenderFault\":true,\"Code\":\"AccessDenied\"}]}",
        "", NULL);
    assert_int_equal(seen.rc, RC_OK);
    assert_int_equal(seen.count, 6);
    assert_int_equal(seen.fates[0], SQS_OK);
    assert_int_equal(seen.fates[1], SQS_AGAIN);
    assert_int_equal(seen.fates[2], SQS_STALE);
    assert_int_equal(seen.fates[3], SQS_STALE);
    assert_int_equal(seen.fates[4], SQS_REFUSED);
    assert_int_equal(seen.fates[5], SQS_AGAIN); /* not mentioned */
    assert_string_equal(seen.why, "InternalError: oops");
}

static void an_extension_names_its_time(void **state)
{
    const char *const handles[] = {"a"};

    (void)state;
    sqs_extend(NULL, QUEUE, handles, 1, 90000, on_batch, NULL);
    assert_string_equal(fake_call.operation, "ChangeMessageVisibilityBatch");
    assert_sent("Entries", "[{\"Id\":\"0\",\"ReceiptHandle\":\"a\",\"VisibilityTimeout\":43200}]");
    fake_answer(200,
                "{\"Successful\":[],\"Failed\":[{\"Id\":\"0\",\"SenderFault\":true,"
                "\"Code\":\"AWS.SimpleQueueService.MessageNotInflight\"}]}",
                "", NULL);
    assert_int_equal(seen.fates[0], SQS_STALE);
}

static void a_whole_batch_that_is_refused_for_its_only_stale_handle_is_stale(void **state)
{
    const char *const handles[] = {"a", "b"};
    struct err err;

    (void)state;
    err_set(&err, RC_INVALID, "ReceiptHandleIsInvalid");
    sqs_delete(NULL, QUEUE, handles, 1, on_batch, NULL);
    fake_answer(400, "{}", "com.amazonaws.sqs#ReceiptHandleIsInvalid", &err);
    assert_int_equal(seen.rc, RC_OK);
    assert_int_equal(seen.fates[0], SQS_STALE);
    sqs_delete(NULL, QUEUE, handles, 2, on_batch, NULL);
    fake_answer(400, "{}", "com.amazonaws.sqs#ReceiptHandleIsInvalid", &err);
    assert_int_equal(seen.rc, RC_INVALID);
    assert_true(seen.fates_null);
}

static void a_batch_without_a_sensible_answer_is_an_error_of_the_whole(void **state)
{
    const char *const handles[] = {"a"};

    (void)state;
    sqs_delete(NULL, QUEUE, handles, 1, on_batch, NULL);
    fake_answer(200, "<html>", "", NULL);
    assert_int_equal(seen.rc, RC_CORRUPT);
    assert_true(seen.fates_null);
}

static void the_attributes_of_a_queue_are_numbers_written_as_strings(void **state)
{
    (void)state;
    sqs_attributes(NULL, QUEUE, on_attributes, NULL);
    assert_string_equal(fake_call.operation, "GetQueueAttributes");
    assert_sent("AttributeNames", "[\"All\"]");
    fake_answer(200,
                "{\"Attributes\":{\"VisibilityTimeout\":\"30\",\"ApproximateNumberOfMessages\":"
                "\"12\",\"ApproximateNumberOfMessagesNotVisible\":\"3\",\"RedrivePolicy\":"
                "\"{\\\"maxReceiveCount\\\":5}\",\"MessageRetentionPeriod\":\"345600\"}}",
                "", NULL);
    assert_int_equal(seen.visibility_s, 30);
    assert_int_equal(seen.messages, 12);
    assert_int_equal(seen.in_flight, 3);
    assert_int_equal(seen.retention_s, 345600);
    assert_string_equal(seen.redrive, "{\"maxReceiveCount\":5}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            a_receive_asks_for_what_it_was_told_to_and_for_more_time_than_the_poll, begin, end),
        cmocka_unit_test_setup_teardown(a_message_is_read_with_its_times_and_count, begin, end),
        cmocka_unit_test_setup_teardown(attributes_that_are_missing_or_wrong_are_not_needed, begin,
                                        end),
        cmocka_unit_test_setup_teardown(answers_that_are_not_what_the_protocol_promises_are_refused,
                                        begin, end),
        cmocka_unit_test_setup_teardown(a_message_that_is_none_comes_with_the_others_as_it_came,
                                        begin, end),
        cmocka_unit_test_setup_teardown(an_error_of_the_call_is_handed_on, begin, end),
        cmocka_unit_test_setup_teardown(each_entry_of_a_batch_has_its_own_fate, begin, end),
        cmocka_unit_test_setup_teardown(an_extension_names_its_time, begin, end),
        cmocka_unit_test_setup_teardown(
            a_whole_batch_that_is_refused_for_its_only_stale_handle_is_stale, begin, end),
        cmocka_unit_test_setup_teardown(a_batch_without_a_sensible_answer_is_an_error_of_the_whole,
                                        begin, end),
        cmocka_unit_test_setup_teardown(the_attributes_of_a_queue_are_numbers_written_as_strings,
                                        begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
