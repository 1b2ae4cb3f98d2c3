/** @file
 * A queue that hears of the raw bucket: it exists, keeps what fails, lets itself be told, and the
 * bucket tells it of everything that the daemon reads.
 */
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>

#include "daemon/ctl/ctl_conf.h"
#include "daemon/ctl/ctl_doctor.h"
#include "lib/base/mem.h"
#include "lib/store/uri.h"

#define RECEIVES_LEAST 5
#define KEPT_LEAST_S 86400 /**< A night's outage; SQS keeps messages four days unless told. */

struct queue_look {
    struct doctor *doctor;
    const char *url;
    const json_t *attributes;
    const struct xml_node *notifications; /**< NULL: they may not be looked at. */
    const char *bucket, *prefix;
};

static const char *attribute(const json_t *attributes, const char *name)
{
    const char *value = json_string_value(json_object_get(attributes, name));

    return value != NULL ? value : "";
}

static uint64_t number_of(const json_t *attributes, const char *name)
{
    uint64_t value = 0;

    return str_to_u64(attribute(attributes, name), &value) ? value : 0;
}

/** The attributes; the caller decrefs. NULL: `ret_err`. */
static json_t *ask_attributes(struct doctor *doctor, const char *url, struct err *ret_err)
{
    scoped(doctor_answer_done) struct doctor_answer answer;
    json_t *told, *attributes;

    if (!doctor_ask_json(doctor, doctor->aws, "sqs", "1.0", "AmazonSQS.GetQueueAttributes", url,
                         json_pack("{s:s,s:[s]}", "QueueUrl", url, "AttributeNames", "All"),
                         &answer, &told)) {
        *ret_err = answer.err;
        return NULL;
    }
    attributes = json_incref(json_object_get(told, "Attributes"));
    json_decref(told);
    return attributes != NULL ? attributes : json_object();
}

/* ---- leases and dead letters ---- */

/** SQS counts from the sending, and deletes what somebody holds as well. */
static void check_retention(const struct queue_look *look)
{
    const uint64_t own_s = number_of(look->attributes, "MessageRetentionPeriod");
    const uint64_t held_s = (uint64_t)look->doctor->conf->sources_sqs_visibility_ms / 1000;

    if (own_s >= KEPT_LEAST_S) {
        doctor_find(look->doctor, FINDING_OK, "queue.retention", "",
                    "the queue keeps messages for %" PRIu64 " s", own_s);
    } else {
        doctor_find(look->doctor, own_s <= held_s ? FINDING_FAIL : FINDING_WARN, "queue.retention",
                    "raise the queue's MessageRetentionPeriod to 345600, SQS' own value, or more",
                    "the queue keeps messages for %" PRIu64
                    " s: what was told while no daemon ran is gone after that, until a listing "
                    "finds it",
                    own_s);
    }
}

static void check_visibility(const struct queue_look *look)
{
    const uint64_t own_s = number_of(look->attributes, "VisibilityTimeout");
    const uint64_t ours_s = (uint64_t)look->doctor->conf->sources_sqs_visibility_ms / 1000;

    if (own_s >= ours_s) {
        doctor_find(look->doctor, FINDING_OK, "queue.visibility", "",
                    "the queue's visibility time-out is %" PRIu64 " s", own_s);
    } else {
        doctor_find(look->doctor, FINDING_WARN, "queue.visibility",
                    "set the queue's VisibilityTimeout to sources.sqs.visibility",
                    "the queue's visibility time-out is %" PRIu64
                    " s, sources.sqs.visibility is %" PRIu64
                    " s: who else receives holds messages for less",
                    own_s, ours_s);
    }
}

/** "arn:aws:sqs:us-east-1:123456789012:name" */
static void split_arn(const char *arn, char ret_account[16], const char **ret_name)
{
    const char *last = strrchr(arn, ':'), *before = last;

    ret_account[0] = '\0';
    *ret_name = last != NULL ? last + 1 : arn;
    while (before != NULL && before > arn && before[-1] != ':') {
        before--;
    }
    if (before != NULL) {
        snprintf(ret_account, 16, "%.*s", (int)MIN_OF(last - before, 15), before);
    }
}

static json_t *ask_dead(const struct queue_look *look, const char *arn, struct err *ret_err)
{
    scoped(doctor_answer_done) struct doctor_answer answer;
    char account[16];
    const char *name;
    json_t *told, *attributes;

    split_arn(arn, account, &name);
    if (!doctor_ask_json(
            look->doctor, look->doctor->aws, "sqs", "1.0", "AmazonSQS.GetQueueUrl", look->url,
            json_pack("{s:s,s:s}", "QueueName", name, "QueueOwnerAWSAccountId", account), &answer,
            &told)) {
        *ret_err = answer.err;
        return NULL;
    }
    scoped(free) char *url = str_dup(attribute(told, "QueueUrl"));

    json_decref(told);
    attributes = ask_attributes(look->doctor, url, ret_err);
    return attributes;
}

static void check_dead_queue(const struct queue_look *look, const char *arn)
{
    struct err err;
    json_t *dead = ask_dead(look, arn, &err);
    const uint64_t own_s = number_of(look->attributes, "MessageRetentionPeriod");
    const uint64_t dead_s = number_of(dead, "MessageRetentionPeriod");
    const uint64_t count = number_of(dead, "ApproximateNumberOfMessages");

    if (dead == NULL) {
        doctor_refused(look->doctor, FINDING_FAIL, "queue.dead",
                       "make the dead-letter queue, and allow sqs:GetQueueUrl and "
                       "sqs:GetQueueAttributes on it",
                       &err);
        return;
    }
    if (dead_s > own_s) {
        doctor_find(look->doctor, FINDING_OK, "queue.dead_retention", "",
                    "dead letters are kept longer than messages");
    } else {
        doctor_find(look->doctor, FINDING_FAIL, "queue.dead_retention",
                    "raise the dead-letter queue's MessageRetentionPeriod over the queue's",
                    "the dead-letter queue keeps messages for %" PRIu64 " s, the queue for %" PRIu64
                    " s: an old message is gone before anybody sees it",
                    dead_s, own_s);
    }
    doctor_find(look->doctor, count > 0 ? FINDING_WARN : FINDING_OK, "queue.dead",
                count > 0 ? "look at them; docs/operations.md" : "",
                "%" PRIu64 " messages in the dead-letter queue", count);
    json_decref(dead);
}

static void check_redrive(const struct queue_look *look)
{
    json_t *policy = json_loads(attribute(look->attributes, "RedrivePolicy"), 0, NULL);
    const char *arn = attribute(policy, "deadLetterTargetArn");
    const json_t *most = json_object_get(policy, "maxReceiveCount");
    uint64_t receives = json_is_integer(most) ? (uint64_t)json_integer_value(most)
                                              : number_of(policy, "maxReceiveCount");

    if (arn[0] == '\0') {
        doctor_find(look->doctor, FINDING_FAIL, "queue.redrive",
                    "give the queue a RedrivePolicy and a dead-letter queue",
                    "the queue has no dead-letter queue: what nobody can take comes for ever");
    } else {
        doctor_find(look->doctor, receives < RECEIVES_LEAST ? FINDING_WARN : FINDING_OK,
                    "queue.redrive", receives < RECEIVES_LEAST ? "raise maxReceiveCount to 20" : "",
                    "after %" PRIu64 " receives a message goes to '%s'", receives, arn);
        check_dead_queue(look, arn);
    }
    json_decref(policy);
}

/* ---- who may send ---- */

/** As policies match: '*' stands for any characters, '?' for one; case is no matter here. */
static bool matches(const char *pattern, const char *text)
{
    const char *star = NULL, *retry = text;

    while (*text != '\0') {
        if (*pattern == '*') {
            star = pattern++;
            retry = text;
        } else if (*pattern == '?' ||
                   tolower((unsigned char)*pattern) == tolower((unsigned char)*text)) {
            pattern++;
            text++;
        } else if (star != NULL) {
            pattern = star + 1;
            text = ++retry;
        } else {
            return false;
        }
    }
    return pattern[strspn(pattern, "*")] == '\0';
}

/** A string, or a list that has it. */
static bool names(const json_t *value, const char *wanted)
{
    const json_t *item;
    size_t i;

    if (json_is_string(value)) {
        return matches(json_string_value(value), wanted);
    }
    json_array_foreach(value, i, item)
    {
        if (names(item, wanted)) {
            return true;
        }
    }
    return false;
}

/** Whether conditions on aws:SourceArn, if there are any, let `arn` through. */
static bool source_fits(const json_t *conditions, const char *arn)
{
    const char *operator;
    json_t *condition;

    json_object_foreach((json_t *)(uintptr_t)conditions, operator, condition)
    {
        const char *key;
        json_t *value;

        json_object_foreach(condition, key, value)
        {
            if (strcasecmp(key, "aws:SourceArn") == 0 && !names(value, arn)) {
                return false;
            }
        }
    }
    return true;
}

/** Whether the statement is of `service` sending to the queue. */
static bool is_about(const json_t *statement, const char *effect, const char *service,
                     const char *queue)
{
    const json_t *principal = json_object_get(statement, "Principal");
    const json_t *resource = json_object_get(statement, "Resource");
    const bool who = names(principal, "*") ||
                     names(json_object_get(principal, "Service"), service) ||
                     names(json_object_get(principal, "AWS"), "*");

    return strcmp(attribute(statement, "Effect"), effect) == 0 && who &&
           names(json_object_get(statement, "Action"), "sqs:SendMessage") &&
           (resource == NULL || names(resource, queue));
}

/** What a policy says, one statement after the other. */
struct policy_says {
    bool lets, denies;
};

/** A denial under a condition (of another account, of plain http) is not taken to be of us. */
static void take_statement(struct policy_says *says, const json_t *statement, const char *service,
                           const char *arn, const char *queue)
{
    const json_t *condition = json_object_get(statement, "Condition");

    says->lets =
        says->lets || (is_about(statement, "Allow", service, queue) && source_fits(condition, arn));
    says->denies =
        says->denies || (condition == NULL && is_about(statement, "Deny", service, queue));
}

static void check_policy(const struct queue_look *look, const char *service, const char *arn)
{
    json_t *policy = json_loads(attribute(look->attributes, "Policy"), 0, NULL);
    const json_t *statements = json_object_get(policy, "Statement"), *statement;
    const char *queue = attribute(look->attributes, "QueueArn");
    struct policy_says says = {0};
    size_t i;

    take_statement(&says, statements, service, arn, queue);
    json_array_foreach(statements, i, statement)
    {
        take_statement(&says, statement, service, arn, queue);
    }
    if (says.denies) {
        doctor_find(look->doctor, FINDING_FAIL, "queue.policy",
                    "take the statement that denies sqs:SendMessage out of the queue's policy",
                    "the queue's policy denies %s to send, whatever else it allows", service);
    } else if (says.lets) {
        doctor_find(look->doctor, FINDING_OK, "queue.policy", "", "%s may send to the queue",
                    service);
    } else {
        doctor_find(look->doctor, FINDING_FAIL, "queue.policy",
                    "allow that service sqs:SendMessage in the queue's policy, with this source",
                    "the queue's policy does not let %s send for '%s'", service, arn);
    }
    json_decref(policy);
}

/* ---- what the bucket tells ---- */

static bool tells_event(const struct xml_node *node, const char *event)
{
    const struct xml_node *found = xml_child(node, "Event");

    for (; found != NULL; found = xml_again(found)) {
        if (str_starts(found->text, event)) {
            return true;
        }
    }
    return false;
}

/** How an object may come: large ones in parts, others by a copy. */
static const char *const ways[] = {"Put", "Copy", "CompleteMultipartUpload"};
#define ALL_WAYS ((1u << ARRAY_LEN(ways)) - 1)

static unsigned tells_created(const struct xml_node *node)
{
    unsigned told = tells_event(node, "s3:ObjectCreated:*") ? ALL_WAYS : 0;

    for (unsigned i = 0; i < ARRAY_LEN(ways); i++) {
        scoped(free) char *event = str_printf("s3:ObjectCreated:%s", ways[i]);

        told |= tells_event(node, event) ? 1u << i : 0;
    }
    return told;
}

/** The value of the filter's rule of that name ("prefix"); "" if there is none. */
static const char *filter_of(const struct xml_node *node, const char *name)
{
    const struct xml_node *rule =
        xml_child(xml_child(xml_child(node, "Filter"), "S3Key"), "FilterRule");

    for (; rule != NULL; rule = xml_again(rule)) {
        if (strcasecmp(xml_text(rule, "Name"), name) == 0) {
            return xml_text(rule, "Value");
        }
    }
    return "";
}

/** A narrow filter counts as none for what it leaves out; which is told once. */
static bool covers(const struct queue_look *look, const struct xml_node *node, bool *told)
{
    const char *prefix = filter_of(node, "prefix"), *suffix = filter_of(node, "suffix");

    if (str_starts(look->prefix, prefix) && suffix[0] == '\0') {
        return true;
    }
    if (!*told) {
        *told = true;
        doctor_find(look->doctor, FINDING_FAIL, "bucket.filter",
                    "widen the notification's filter to raw.uri's prefix, without a suffix",
                    "the bucket tells only of keys '%s...%s', but '%s%s' is read", prefix, suffix,
                    look->prefix[0] != '\0' ? look->prefix : "", "*");
    }
    return false;
}

/** Who tells the queue, of what. */
struct telling {
    unsigned created; /**< Bits of `ways`. */
    bool removed, filtered;
    const char *service; /**< NULL: nobody. */
    char *source;        /**< ARN that sends. */
};

static void look_through(const struct queue_look *look, const char *element, const char *target,
                         const char *arn, struct telling *telling)
{
    const struct xml_node *node = xml_child(look->notifications, element);

    for (; node != NULL; node = xml_again(node)) {
        if ((arn == NULL || strcmp(xml_text(node, target), arn) == 0) &&
            covers(look, node, &telling->filtered)) {
            telling->created |= tells_created(node);
            telling->removed = telling->removed || tells_event(node, "s3:ObjectRemoved:");
            if (telling->service == NULL && arn == NULL) {
                telling->service = "sns.amazonaws.com";
                telling->source = str_dup(xml_text(node, target));
            }
        }
    }
}

static struct telling find_telling(const struct queue_look *look)
{
    struct telling telling = {0};
    const char *arn = attribute(look->attributes, "QueueArn");

    look_through(look, "QueueConfiguration", "Queue", arn, &telling);
    if (telling.created != 0 || telling.removed || telling.filtered) {
        telling.service = "s3.amazonaws.com";
        telling.source = str_printf("arn:aws:s3:::%s", look->bucket);
        return telling;
    }
    look_through(look, "TopicConfiguration", "Topic", NULL, &telling);
    if (telling.service == NULL &&
        xml_child(look->notifications, "EventBridgeConfiguration") != NULL) {
        telling.service = "events.amazonaws.com";
        telling.created = ALL_WAYS; /* what its rule says is not ours to read */
        telling.removed = true;
    }
    return telling;
}

static void check_telling(const struct queue_look *look)
{
    struct telling telling = find_telling(look);
    unsigned missed = 0;

    while (missed < ARRAY_LEN(ways) && (telling.created >> missed & 1) != 0) {
        missed++;
    }
    if (telling.created != 0 && missed < ARRAY_LEN(ways)) {
        doctor_find(look->doctor, FINDING_FAIL, "bucket.created",
                    "notify the queue of s3:ObjectCreated:*, of which Put is one part",
                    "bucket '%s' tells of some new objects, not of those by %s", look->bucket,
                    ways[missed]);
    } else if (telling.created != 0) {
        doctor_find(look->doctor, FINDING_OK, "bucket.created", "",
                    "bucket '%s' tells of new objects, by %s", look->bucket, telling.service);
    } else if (!telling.filtered) {
        doctor_find(look->doctor, FINDING_FAIL, "bucket.created",
                    "notify the queue of s3:ObjectCreated:*",
                    "bucket '%s' does not tell this queue of new objects", look->bucket);
    }
    if (telling.removed) {
        doctor_find(look->doctor, FINDING_OK, "bucket.removed", "", "and of removed ones");
    } else if (!telling.filtered) {
        doctor_find(look->doctor, FINDING_WARN, "bucket.removed",
                    "notify the queue of s3:ObjectRemoved:*",
                    "bucket '%s' does not tell this queue of removed objects: only a listing "
                    "finds them",
                    look->bucket);
    }
    if (telling.service != NULL && telling.source != NULL) {
        check_policy(look, telling.service, telling.source);
    }
    free(telling.source);
}

/* ---- one queue after the other ---- */

static void check_queue(struct queue_look *look)
{
    struct err err;
    json_t *attributes = ask_attributes(look->doctor, look->url, &err);

    if (attributes == NULL) {
        doctor_find(look->doctor, FINDING_FAIL, "queue.exists",
                    doctor_mend(look->doctor, &err,
                                err.rc == RC_DENIED
                                    ? "allow sqs:GetQueueAttributes on the queue"
                                    : "make the queue, or mend sources.sqs.queue_url"),
                    "%s", err.text);
        return;
    }
    look->attributes = attributes;
    doctor_find(look->doctor, FINDING_OK, "queue.exists", "", "'%s' holds %" PRIu64 " messages",
                look->url, number_of(attributes, "ApproximateNumberOfMessages"));
    check_retention(look);
    check_visibility(look);
    check_redrive(look);
    if (look->notifications != NULL) {
        check_telling(look);
    }
    json_decref(attributes);
}

static void check_each(struct doctor *doctor, const struct uri *raw,
                       const struct xml_node *notifications)
{
    const char *cursor = doctor->conf->sources_sqs_queue_url;
    char *item;

    while (conf_next_item(&cursor, &item)) {
        scoped(free) char *url = item;
        struct queue_look look = {.doctor = doctor,
                                  .url = url,
                                  .notifications = notifications,
                                  .bucket = raw->bucket,
                                  .prefix = raw->path};

        check_queue(&look);
    }
}

void doctor_check_queues(struct doctor *doctor)
{
    static const struct sigv4_pair query = {"notification", ""};
    scoped(doctor_answer_done) struct doctor_answer answer = {0};
    scoped(uri_free) struct uri *raw = NULL;
    scoped(xml_free) struct xml_doc *doc = NULL;

    if (doctor->conf->sources_sqs_queue_url == NULL || doctor->raw == NULL ||
        uri_parse(doctor->conf->raw_uri, "/", &raw, &answer.err) != RC_OK) {
        return;
    }
    const struct doctor_s3 ask = {.operation = "GetBucketNotificationConfiguration",
                                  .method = "GET",
                                  .bucket = raw->bucket,
                                  .query = &query,
                                  .query_count = 1};

    if (!doctor_ask_s3(doctor, doctor->raw, &ask, &answer) ||
        xml_parse(strbuf_text(&answer.body), answer.body.len, &doc, &answer.err) != RC_OK) {
        doctor_refused(doctor, FINDING_WARN, "bucket.created", "allow s3:GetBucketNotification",
                       &answer.err);
    }
    check_each(doctor, raw, doc != NULL ? xml_root(doc) : NULL);
}
