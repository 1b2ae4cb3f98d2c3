/** @file
 * SNS: what is believed of the answers.
 */
#include "tests/unit.h"

#include <stdio.h>
#include <string.h>

#include "lib/aws/sns.h"
#include "lib/base/mem.h"
#include "tests/unit/lib/aws/fake_aws.h"

#define TOPIC "arn:aws:sns:us-east-1:123456789012:done"

static enum rc seen;
static char id[64];

static void on_done(const char *message_id, const struct err *err, void *arg)
{
    (void)arg;
    seen = err != NULL ? err->rc : RC_OK;
    snprintf(id, sizeof(id), "%s", message_id != NULL ? message_id : "");
}

/** `text` as aws.c writes it: operation, resource, code, message. */
static enum rc publish(unsigned status, const char *body, enum rc rc, const char *text)
{
    const char *code = strstr(text, "': ");
    struct err err;
    char name[64] = "";

    sns_publish(NULL, TOPIC, "subject", "message", "unique", NULL, 0, on_done, NULL);
    err_set(&err, rc, "%s", text);
    if (code != NULL) {
        snprintf(name, sizeof(name), "%.*s", (int)strcspn(code + 3, ":"), code + 3);
    }
    fake_answer(status, body, name, rc == RC_OK ? NULL : &err);
    fake_done();
    return seen;
}

static void what_was_taken_has_an_id(void **state)
{
    (void)state;
    assert_int_equal(publish(200,
                             "<PublishResponse><PublishResult><MessageId>m1</MessageId>"
                             "</PublishResult></PublishResponse>",
                             RC_OK, ""),
                     RC_OK);
    assert_string_equal(id, "m1");
    assert_int_equal(publish(200, "<PublishResponse/>", RC_OK, ""), RC_CORRUPT);
    assert_int_equal(publish(200, "<html", RC_OK, ""), RC_CORRUPT);
}

static void only_what_is_wrong_with_the_message_is_its_own_fault(void **state)
{
    (void)state;
    assert_int_equal(
        publish(400, "<x/>", RC_INVALID,
                "Publish 'sns': InvalidParameter: Invalid parameter: Message too long"),
        RC_INVALID);
    assert_int_equal(publish(400, "<x/>", RC_INVALID,
                             "Publish 'sns': InvalidParameter: Invalid parameter: TopicArn"),
                     RC_HOST);
    assert_int_equal(publish(0, NULL, RC_INVALID, "plain http to 'sns.test' is not allowed"),
                     RC_HOST);
    assert_int_equal(publish(404, "<x/>", RC_NOT_FOUND, "Publish 'sns': NotFound"), RC_NOT_FOUND);
}

static void what_sns_says_of_something_else_gives_no_message_up(void **state)
{
    static const struct {
        const char *code;
        enum rc rc;
    } cases[] = {
        {"InvalidParameter", RC_INVALID},
        {"InvalidParameterValue", RC_INVALID},
        {"ParameterValueInvalid", RC_INVALID},
        {"ValidationError", RC_INVALID},
        {"ValidationException", RC_INVALID},
        {"EndpointDisabled", RC_HOST},
        {"InvalidAction", RC_HOST},
        {"SomethingNew", RC_HOST},
        {"MalformedQueryString", RC_HOST},
        {"", RC_HOST},
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        char text[120];

        snprintf(text, sizeof(text), "Publish 'sns': %s: because of it", cases[i].code);
        assert_int_equal(publish(400, "<x/>", RC_INVALID, text), cases[i].rc);
    }
    assert_int_equal(publish(400, "<x/>", RC_HOST, "Publish 'sns': KMSDisabled"), RC_HOST);
    assert_int_equal(
        publish(400, "<x/>", RC_INVALID,
                "Publish 'sns': InvalidParameter: Invalid parameter: TargetArn Reason: no"),
        RC_HOST);
}

static const char *sent(const char *name)
{
    for (unsigned i = 0; i < fake_call.pair_count; i++) {
        if (strcmp(fake_call.pairs[i][0], name) == 0) {
            return fake_call.pairs[i][1];
        }
    }
    return NULL;
}

static void publish_to(const char *topic)
{
    sns_publish(NULL, topic, "subject", "message", "f00d", NULL, 0, on_done, NULL);
}

static void end(void)
{
    fake_answer(200, "<PublishResponse/>", "", NULL);
    fake_done();
}

static void a_fifo_topic_is_told_group_and_id_and_no_other(void **state)
{
    (void)state;
    publish_to(TOPIC ".fifo");
    assert_string_equal(sent("MessageDeduplicationId"), "f00d");
    assert_string_equal(sent("MessageGroupId"), "sevird");
    end();
    publish_to(TOPIC);
    assert_null(sent("MessageDeduplicationId"));
    assert_null(sent("MessageGroupId"));
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_taken_has_an_id),
        cmocka_unit_test(only_what_is_wrong_with_the_message_is_its_own_fault),
        cmocka_unit_test(what_sns_says_of_something_else_gives_no_message_up),
        cmocka_unit_test(a_fifo_topic_is_told_group_and_id_and_no_other),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
