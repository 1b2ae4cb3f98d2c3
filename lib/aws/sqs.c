/** @file
 * SQS: requests are written as JSON, answers read by jansson and believed only where they are what
 * the protocol promises.
 */
#include "lib/aws/sqs.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/arena.h"
#include "lib/base/digest.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"

#define VERSION "1.0"
#define CONTENT_TYPE "application/x-amz-json-" VERSION
#define SLACK_MS 15000 /**< In all; for a receive twice that, beyond what the queue waits. */
/** Ten messages of 1 MiB, in which JSON may write every byte as two. */
#define RECEIVE_MAX ((size_t)24 << 20)
#define HANDLE_MAX 4096
#define MESSAGE_ID_MAX 256
#define WHY_MAX 200

/** One call under way. */
struct sqs_call {
    struct strbuf body; /**< Borrowed by the call until it is done. */
    unsigned count;     /**< Of a receive the most that may come, of a batch its entries. */
    enum sqs_fate fates[SQS_BATCH];
    json_t *root;        /**< Of a receive: its last good answer, */
    struct arena *texts; /**< and what had to be written for messages that are none. */
    union {
        sqs_messages_fn *messages;
        sqs_batch_fn *batch;
        sqs_attributes_fn *attributes;
    } done;
    void *arg;
};

static struct sqs_call *call_new(const char *queue_url, unsigned count, void *arg)
{
    struct sqs_call *call = mem_new(struct sqs_call);

    *call = (struct sqs_call){.count = count, .arg = arg};
    strbuf_puts(&call->body, "{\"QueueUrl\":");
    strbuf_json(&call->body, queue_url);
    return call;
}

static void call_free(struct sqs_call *call)
{
    strbuf_done(&call->body);
    json_decref(call->root);
    arena_free(call->texts);
    free(call);
}

/** The answer as an object; an empty body is an empty one. NULL: RC_CORRUPT. */
static json_t *answer_json(const struct http_answer *http, const char *operation, struct err *err)
{
    json_t *root = http == NULL         ? NULL
                   : http->body_len > 0 ? json_loadb(http->body, http->body_len, 0, NULL)
                                        : json_object();

    if (!json_is_object(root)) {
        json_decref(root);
        err_set(err, RC_CORRUPT, "%s: the answer is no JSON object", operation);
        return NULL;
    }
    return root;
}

/** A member that is a string, or a number as some servers write it; `missing` when it is neither.
 */
static uint64_t number_of(const json_t *object, const char *name, uint64_t missing)
{
    const json_t *value = json_object_get(object, name);
    uint64_t number;

    if (json_is_integer(value) && json_integer_value(value) >= 0) {
        return (uint64_t)json_integer_value(value);
    }
    return json_is_string(value) && str_to_u64(json_string_value(value), &number) ? number
                                                                                  : missing;
}

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text != NULL ? text : "";
}

/* ---- receive */

/** A member that is a text of a length that we bear; NULL when it is not. */
static const char *bounded(const json_t *object, const char *name, size_t max)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text != NULL && text[0] != '\0' && strlen(text) <= max ? text : NULL;
}

/** It is handed on as it came, for somebody to look at: it is one of ten, and must neither be lost
 * nor stand in the way of the others. */
static void keep_as_it_came(struct arena *texts, const json_t *from, struct sqs_message *message)
{
    char *text = json_dumps(from, JSON_ENCODE_ANY | JSON_COMPACT);
    char hex[DIGEST_HEX];

    message->body = arena_dup(texts, text != NULL ? text : "");
    free(text);
    if (message->id == NULL) {
        digest_sha256_hex(message->body, strlen(message->body), hex);
        message->id = arena_dup(texts, hex);
    }
}

static void read_message(struct arena *texts, const json_t *from, struct sqs_message *ret_message)
{
    const json_t *attributes = json_object_get(from, "Attributes");
    const char *handle = bounded(from, "ReceiptHandle", HANDLE_MAX);

    *ret_message = (struct sqs_message){
        .id = bounded(from, "MessageId", MESSAGE_ID_MAX),
        .handle = handle != NULL ? handle : "",
        .body = json_string_value(json_object_get(from, "Body")),
        .fault = "",
        .receive_count = (unsigned)MIN_OF(number_of(attributes, "ApproximateReceiveCount", 1),
                                          (uint64_t)INT32_MAX),
        .sent_ms = (int64_t)MIN_OF(number_of(attributes, "SentTimestamp", 0), (uint64_t)INT64_MAX),
        .first_received_ms = (int64_t)MIN_OF(
            number_of(attributes, "ApproximateFirstReceiveTimestamp", 0), (uint64_t)INT64_MAX),
    };
    if (ret_message->id == NULL || handle == NULL || ret_message->body == NULL) {
        ret_message->fault = "the queue gave it without id, receipt handle or body";
        keep_as_it_came(texts, from, ret_message);
    }
}

static enum rc check_received(const struct http_answer *http, void *arg, struct err *err)
{
    struct sqs_call *call = arg;
    json_t *root = answer_json(http, "ReceiveMessage", err);
    const json_t *list = json_object_get(root, "Messages");

    json_decref(call->root);
    call->root = root;
    if (root == NULL) {
        return err->rc;
    }
    if (list != NULL && !json_is_null(list) &&
        (!json_is_array(list) || json_array_size(list) > call->count)) {
        return err_set(err, RC_CORRUPT, "ReceiveMessage: not a list of at most %u messages",
                       call->count);
    }
    return RC_OK;
}

static void on_received(const struct aws_answer *answer, const struct err *err, void *arg)
{
    struct sqs_call *call = arg;
    struct sqs_message messages[SQS_BATCH];
    const json_t *item;
    size_t i, count = 0;
    (void)answer;

    if (err != NULL) {
        call->done.messages(NULL, 0, err, call->arg);
        call_free(call);
        return;
    }
    call->texts = arena_new();
    json_array_foreach(json_object_get(call->root, "Messages"), i, item)
    {
        read_message(call->texts, item, &messages[count++]);
    }
    call->done.messages(messages, (unsigned)count, NULL, call->arg);
    call_free(call);
}

struct aws_call *sqs_receive(struct aws *aws, const char *queue_url, unsigned max, unsigned wait_s,
                             unsigned visibility_s, sqs_messages_fn *done, void *arg)
{
    static const struct sigv4_pair headers[] = {{"content-type", CONTENT_TYPE},
                                                {"x-amz-target", "AmazonSQS.ReceiveMessage"}};
    struct sqs_call *call = call_new(queue_url, MIN_OF(max, SQS_BATCH), arg);

    call->done.messages = done;
    strbuf_printf(&call->body,
                  ",\"MaxNumberOfMessages\":%u,\"WaitTimeSeconds\":%u,\"VisibilityTimeout\":%u,"
                  "\"MessageSystemAttributeNames\":[\"ApproximateReceiveCount\","
                  "\"SentTimestamp\",\"ApproximateFirstReceiveTimestamp\"]}",
                  call->count, wait_s, visibility_s);
    /* Not aws_send_json(): these answers may be far longer than any other service's, and a message
     * that is too long to be received would be in the way of all others for ever. One attempt: the
     * caller polls anyway, and its next one is as good as a repetition. */
    const struct aws_request request = {.service = "sqs",
                                        .operation = "ReceiveMessage",
                                        .method = "POST",
                                        .path = "/",
                                        .url = queue_url,
                                        .headers = headers,
                                        .header_count = ARRAY_LEN(headers),
                                        .body = call->body.data,
                                        .body_len = call->body.len,
                                        .body_max = RECEIVE_MAX,
                                        .wait_ms = (int64_t)wait_s * 1000,
                                        .total_ms = (int64_t)wait_s * 1000 + 2 * SLACK_MS,
                                        .attempts = 1,
                                        .check = check_received};
    return aws_send(aws, &request, on_received, call);
}

/* ---- batches of deletions and extensions */

/** "ReceiptHandleIsInvalid" of "com.amazonaws.sqs#ReceiptHandleIsInvalid" and of
 * "AWS.SimpleQueueService.ReceiptHandleIsInvalid". */
static const char *short_code(const char *code)
{
    const char *hash = strrchr(code, '#'), *dot;

    code = hash != NULL ? hash + 1 : code;
    dot = strrchr(code, '.');
    return dot != NULL ? dot + 1 : code;
}

/** A handle whose time is over is answered with either of the first two (elastic/beats#29480). */
static bool is_stale(const char *code)
{
    static const char *const codes[] = {"ReceiptHandleIsInvalid", "InvalidParameterValue",
                                        "MessageNotInflight", "InvalidParameterValueException"};

    for (unsigned i = 0; i < ARRAY_LEN(codes); i++) {
        if (strcmp(short_code(code), codes[i]) == 0) {
            return true;
        }
    }
    return false;
}

/** The entry that a result names; false when it is none of ours. */
static bool entry_of(const json_t *result, unsigned count, unsigned *ret_entry)
{
    const char *id = json_string_value(json_object_get(result, "Id"));
    uint64_t entry;

    if (id == NULL || !str_to_u64(id, &entry) || entry >= count) {
        return false;
    }
    *ret_entry = (unsigned)entry;
    return true;
}

/** What nothing is said about is tried again. */
static void read_fates(const json_t *root, struct sqs_call *call, char ret_why[WHY_MAX])
{
    const json_t *result;
    size_t i;
    unsigned entry;

    ret_why[0] = '\0';
    for (entry = 0; entry < call->count; entry++) {
        call->fates[entry] = SQS_AGAIN;
    }
    json_array_foreach(json_object_get(root, "Successful"), i, result)
    {
        if (entry_of(result, call->count, &entry)) {
            call->fates[entry] = SQS_OK;
        }
    }
    json_array_foreach(json_object_get(root, "Failed"), i, result)
    {
        const char *code = text_of(result, "Code");

        if (!entry_of(result, call->count, &entry)) {
            continue;
        }
        call->fates[entry] = is_stale(code)                                         ? SQS_STALE
                             : json_is_true(json_object_get(result, "SenderFault")) ? SQS_REFUSED
                                                                                    : SQS_AGAIN;
        if (ret_why[0] == '\0') {
            snprintf(ret_why, WHY_MAX, "%.60s: %.120s", code, text_of(result, "Message"));
        }
    }
    for (entry = 0; entry < call->count && ret_why[0] == '\0'; entry++) {
        if (call->fates[entry] != SQS_OK) {
            snprintf(ret_why, WHY_MAX, "the answer does not mention it");
        }
    }
}

static void on_batch(const struct aws_answer *answer, const struct err *err, void *arg)
{
    struct sqs_call *call = arg;
    struct err wrong;
    char why[WHY_MAX] = "";
    json_t *root = NULL;

    if (err != NULL && call->count == 1 && is_stale(answer->code)) {
        call->fates[0] = SQS_STALE; /* a server that fails the whole for its only entry */
        snprintf(why, sizeof(why), "%.190s", err->text);
        err = NULL;
    } else if (err == NULL) {
        root = answer_json(answer->http, "batch", &wrong);
        if (root != NULL) {
            read_fates(root, call, why);
        } else {
            err = &wrong;
        }
    }
    call->done.batch(err == NULL ? call->fates : NULL, err == NULL ? call->count : 0, why, err,
                     call->arg);
    json_decref(root);
    call_free(call);
}

static struct aws_call *send_batch(struct aws *aws, const char *target, const char *queue_url,
                                   const char *const *handles, unsigned count, int visibility_s,
                                   sqs_batch_fn *done, void *arg)
{
    struct sqs_call *call = call_new(queue_url, MIN_OF(count, SQS_BATCH), arg);

    call->done.batch = done;
    strbuf_puts(&call->body, ",\"Entries\":[");
    for (unsigned i = 0; i < call->count; i++) {
        strbuf_printf(&call->body, "%s{\"Id\":\"%u\",\"ReceiptHandle\":", i > 0 ? "," : "", i);
        strbuf_json(&call->body, handles[i]);
        if (visibility_s >= 0) {
            strbuf_printf(&call->body, ",\"VisibilityTimeout\":%d", visibility_s);
        }
        strbuf_putc(&call->body, '}');
    }
    strbuf_puts(&call->body, "]}");
    return aws_send_json(aws, "sqs", VERSION, target, queue_url, call->body.data, SLACK_MS,
                         on_batch, call);
}

struct aws_call *sqs_delete(struct aws *aws, const char *queue_url, const char *const *handles,
                            unsigned count, sqs_batch_fn *done, void *arg)
{
    return send_batch(aws, "AmazonSQS.DeleteMessageBatch", queue_url, handles, count, -1, done,
                      arg);
}

struct aws_call *sqs_extend(struct aws *aws, const char *queue_url, const char *const *handles,
                            unsigned count, unsigned visibility_s, sqs_batch_fn *done, void *arg)
{
    return send_batch(aws, "AmazonSQS.ChangeMessageVisibilityBatch", queue_url, handles, count,
                      (int)MIN_OF(visibility_s, SQS_VISIBILITY_MAX_S), done, arg);
}

/* ---- what one asks of a queue */

static void on_attributes(const struct aws_answer *answer, const struct err *err, void *arg)
{
    struct sqs_call *call = arg;
    struct sqs_attributes attributes = {0};
    struct err wrong;
    json_t *root = NULL;

    if (err == NULL && (root = answer_json(answer->http, "GetQueueAttributes", &wrong)) == NULL) {
        err = &wrong;
    }
    if (err == NULL) {
        const json_t *from = json_object_get(root, "Attributes");

        attributes = (struct sqs_attributes){
            .visibility_s = (unsigned)MIN_OF(number_of(from, "VisibilityTimeout", 0),
                                             (uint64_t)SQS_VISIBILITY_MAX_S),
            .messages = number_of(from, "ApproximateNumberOfMessages", 0),
            .in_flight = number_of(from, "ApproximateNumberOfMessagesNotVisible", 0),
            .delayed = number_of(from, "ApproximateNumberOfMessagesDelayed", 0),
            .arn = text_of(from, "QueueArn"),
            .redrive_policy = text_of(from, "RedrivePolicy"),
            .policy = text_of(from, "Policy"),
            .retention_s = (unsigned)MIN_OF(number_of(from, "MessageRetentionPeriod", 0),
                                            (uint64_t)UINT32_MAX),
        };
    }
    call->done.attributes(err == NULL ? &attributes : NULL, err, call->arg);
    json_decref(root);
    call_free(call);
}

struct aws_call *sqs_attributes(struct aws *aws, const char *queue_url, sqs_attributes_fn *done,
                                void *arg)
{
    struct sqs_call *call = call_new(queue_url, 0, arg);

    call->done.attributes = done;
    strbuf_puts(&call->body, ",\"AttributeNames\":[\"All\"]}");
    return aws_send_json(aws, "sqs", VERSION, "AmazonSQS.GetQueueAttributes", queue_url,
                         call->body.data, SLACK_MS, on_attributes, call);
}
