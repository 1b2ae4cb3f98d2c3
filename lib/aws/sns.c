/** @file
 * SNS by its Query protocol: a form out, XML back.
 */
#include "lib/aws/sns.h"

#include <stdio.h>
#include <string.h>

#include "lib/aws/xml.h"
#include "lib/base/arena.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"

#define VERSION "2010-03-31"
#define ATTRIBUTES_MAX 10 /**< More are not delivered raw to SQS. */
#define GROUP "sevird"    /**< One: a FIFO topic keeps the order within it. */

struct sns_call {
    sns_done_fn *done;
    void *arg;
};

/** Only of these is the message itself the reason, and only where they do not name what it is sent
 * to. */
static bool refuses_the_message(const struct aws_answer *answer, const struct err *err)
{
    return answer->http != NULL &&
           (str_starts(answer->code, "InvalidParameter") ||
            str_starts(answer->code, "Validation") ||
            strcmp(answer->code, "ParameterValueInvalid") == 0) &&
           strstr(err->text, "TopicArn") == NULL && strstr(err->text, "TargetArn") == NULL;
}

/** Of an error that is no message's fault, but that of the topic, the endpoint, the profile, or one
 * that nobody here has heard of: every message would be refused so, and none of them is to be given
 * up for it. */
static const struct err *not_the_message(const struct aws_answer *answer, const struct err *err,
                                         struct err *room)
{
    if (err->rc != RC_INVALID || refuses_the_message(answer, err)) {
        return err;
    }
    *room = *err;
    room->rc = RC_HOST;
    return room;
}

static void on_published(const struct aws_answer *answer, const struct err *err, void *arg)
{
    struct sns_call *call = arg;
    scoped(xml_free) struct xml_doc *doc = NULL;
    const char *id = "";
    struct err wrong;

    if (err != NULL) {
        err = not_the_message(answer, err, &wrong);
    } else if (xml_parse(answer->http->body, answer->http->body_len, &doc, &wrong) != RC_OK) {
        err_wrap(&wrong, "Publish");
        err = &wrong;
    } else {
        id = xml_text(xml_child(xml_root(doc), "PublishResult"), "MessageId");
        if (id[0] == '\0') {
            err_set(&wrong, RC_CORRUPT, "Publish: the answer has no message id");
            err = &wrong;
        }
    }
    call->done(err == NULL ? id : NULL, err, call->arg);
    free(call);
}

bool sns_is_fifo(const char *topic_arn)
{
    return str_ends(topic_arn, ".fifo");
}

/** Printable ASCII, at most what SNS takes. */
static const char *clean_subject(struct arena *arena, const char *subject)
{
    char *clean = arena_dup_n(arena, subject, strnlen(subject, SNS_SUBJECT_MAX));

    for (char *p = clean; *p != '\0'; p++) {
        *p = *p >= ' ' && *p <= '~' ? *p : '?';
    }
    return clean;
}

struct aws_call *sns_publish(struct aws *aws, const char *topic_arn, const char *subject,
                             const char *message, const char *unique,
                             const struct sigv4_pair *attributes, unsigned attribute_count,
                             sns_done_fn *done, void *arg)
{
    scoped(arena_free) struct arena *arena = arena_new(); /* pairs are copied */
    struct sns_call *call = mem_new(struct sns_call);
    struct sigv4_pair pairs[5 + 3 * ATTRIBUTES_MAX];
    unsigned count = 0;

    *call = (struct sns_call){.done = done, .arg = arg};
    pairs[count++] = (struct sigv4_pair){"TopicArn", topic_arn};
    pairs[count++] = (struct sigv4_pair){"Message", message};
    if (subject != NULL && subject[0] != '\0') {
        pairs[count++] = (struct sigv4_pair){"Subject", clean_subject(arena, subject)};
    }
    if (sns_is_fifo(topic_arn)) {
        pairs[count++] = (struct sigv4_pair){"MessageGroupId", GROUP};
        pairs[count++] = (struct sigv4_pair){"MessageDeduplicationId", unique};
    }
    for (unsigned i = 0; i < MIN_OF(attribute_count, (unsigned)ATTRIBUTES_MAX); i++) {
        const char *entry = arena_printf(arena, "MessageAttributes.entry.%u.", i + 1);

        pairs[count++] =
            (struct sigv4_pair){arena_printf(arena, "%sName", entry), attributes[i].name};
        pairs[count++] =
            (struct sigv4_pair){arena_printf(arena, "%sValue.DataType", entry), "String"};
        pairs[count++] = (struct sigv4_pair){arena_printf(arena, "%sValue.StringValue", entry),
                                             attributes[i].value};
    }
    return aws_send_query(aws, "sns", VERSION, "Publish", pairs, count, on_published, call);
}
