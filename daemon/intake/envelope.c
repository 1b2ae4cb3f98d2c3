/** @file
 * Messages of queues, read.
 *
 * unwrap() peels SNS off until something is left that is not SNS's; read_records() and
 * read_bridge() read what that may be.
 */
#include "daemon/intake/envelope.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/arena.h"
#include "lib/base/mem.h"
#include "lib/base/now.h"
#include "lib/base/str.h"

#define VERSION_MAJOR \
    "2." /**< Of S3's records: the major version must be this, the minor may grow. */
#define SEQUENCER_MAX 64

/* ---- small things */

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text != NULL ? text : "";
}

static uint64_t size_of(const json_t *object)
{
    const json_t *size = json_object_get(object, "size");

    return json_is_integer(size) && json_integer_value(size) >= 0
               ? (uint64_t)json_integer_value(size)
               : 0;
}

static void say(struct envelope *envelope, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/** The first reason stays. */
static void say(struct envelope *envelope, const char *fmt, ...)
{
    scoped(strbuf_done) struct strbuf clean = {0};
    char text[400];
    va_list args;

    if (envelope->reason[0] != '\0') {
        return;
    }
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    strbuf_printable(&clean, text);
    envelope->reason = arena_dup(envelope->arena, strbuf_text(&clean));
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

bool envelope_decode_key(const char *in, char *out)
{
    for (; *in != '\0'; in++) {
        const int high = in[0] == '%' ? hex_digit(in[1]) : -1;
        const int low = high >= 0 ? hex_digit(in[2]) : -1;

        if (low >= 0) {
            if (high == 0 && low == 0) {
                return false;
            }
            *out++ = (char)(high * 16 + low);
            in += 2;
        } else {
            *out++ = *in == '+' ? ' ' : *in;
        }
    }
    *out = '\0';
    return true;
}

int64_t envelope_time_ms(const char *text)
{
    char seconds[20];
    int64_t epoch_s, ms = 0, unit = 100;

    if (strlen(text) < 19 || strlen(text) > 40) {
        return 0;
    }
    snprintf(seconds, sizeof(seconds), "%.19s", text);
    if (!now_parse_utc(seconds, &epoch_s)) {
        return 0;
    }
    text += 19;
    if (*text == '.') {
        for (text++; *text >= '0' && *text <= '9'; text++, unit /= 10) {
            ms += unit * (*text - '0');
        }
    }
    const bool utc = *text == '\0' || strcmp(text, "Z") == 0 || strcmp(text, "+00:00") == 0;

    return utc ? epoch_s * 1000 + ms : 0;
}

/** Deeper than anything that is meant for us; the parser and the freeing recurse. */
static bool too_deep(const char *body, size_t len)
{
    unsigned depth = 0;
    bool quoted = false;

    for (size_t i = 0; i < len; i++) {
        const char c = body[i];

        if (quoted) {
            i += c == '\\';
            quoted = c != '"';
        } else if (c == '"') {
            quoted = true;
        } else if (c == '{' || c == '[') {
            if (++depth > ENVELOPE_DEPTH_MAX) {
                return true;
            }
        } else if ((c == '}' || c == ']') && depth > 0) {
            depth--;
        }
    }
    return false;
}

static const char *hex_or_nothing(struct arena *arena, const char *text)
{
    const size_t len = strspn(text, "0123456789abcdefABCDEF");

    return text[len] == '\0' && len <= SEQUENCER_MAX ? arena_dup(arena, text) : "";
}

static const char *unquoted(struct arena *arena, const char *etag)
{
    const size_t len = strlen(etag);

    return len >= 2 && etag[0] == '"' && etag[len - 1] == '"'
               ? arena_dup_n(arena, etag + 1, len - 2)
               : arena_dup(arena, etag);
}

/* ---- S3's own */

static enum envelope_what what_of(const char *name)
{
    return str_starts(name, "ObjectCreated:") ? ENVELOPE_CREATED
           : str_starts(name, "ObjectRemoved:") || str_starts(name, "LifecycleExpiration:")
               ? ENVELOPE_REMOVED
               : ENVELOPE_OTHER;
}

/** Whether the version is one that this can read: AWS compares the major number for equality. */
static bool version_fits(const char *version)
{
    return version[0] == '\0' || str_starts(version, VERSION_MAJOR);
}

/** False when it cannot be read, with a reason. */
static bool read_record(struct envelope *envelope, const json_t *record,
                        struct envelope_event *ret_event)
{
    struct arena *arena = envelope->arena;
    const json_t *s3 = json_object_get(record, "s3"), *object = json_object_get(s3, "object");
    const char *source = text_of(record, "eventSource"), *name = text_of(record, "eventName");
    const char *version = text_of(record, "eventVersion"), *key = text_of(object, "key");
    const char *bucket = text_of(json_object_get(s3, "bucket"), "name");

    if (!str_ends(source, ":s3") || name[0] == '\0') {
        say(envelope, "a record is none of S3's: source '%.60s', event '%.60s'", source, name);
        return false;
    }
    if (!version_fits(version)) {
        say(envelope, "a record has the version %.20s; this build reads " VERSION_MAJOR "x",
            version);
        return false;
    }
    name += str_starts(name, "s3:") ? 3 : 0;
    *ret_event = (struct envelope_event){
        .what = what_of(name),
        .name = arena_dup(arena, name),
        .bucket = arena_dup(arena, bucket),
        .key = "",
        .alternative = "",
        .etag = unquoted(arena, text_of(object, "eTag")),
        .version = arena_dup(arena, text_of(object, "versionId")),
        .sequencer = hex_or_nothing(arena, text_of(object, "sequencer")),
        .one_version = text_of(object, "versionId")[0] != '\0' && str_ends(name, ":Delete"),
        .size = size_of(object),
        .event_ms = envelope_time_ms(text_of(record, "eventTime")),
    };
    if (ret_event->what == ENVELOPE_OTHER) {
        return true;
    }
    char *decoded = arena_alloc(arena, strlen(key) + 1);

    ret_event->key = decoded;
    if (bucket[0] == '\0' || key[0] == '\0' || !envelope_decode_key(key, decoded)) {
        say(envelope, "a record of '%.60s' has no bucket, or no key that could be one", name);
        return false;
    }
    return true;
}

static void read_records(struct envelope *envelope, const json_t *records)
{
    const size_t count = json_array_size(records);
    const json_t *record;
    size_t i;

    if (!json_is_array(records) || count == 0 || count > ENVELOPE_RECORDS_MAX) {
        say(envelope, "'Records' is no list of 1 to %d records", ENVELOPE_RECORDS_MAX);
        return;
    }
    envelope->events = arena_alloc(envelope->arena, count * sizeof(envelope->events[0]));
    json_array_foreach(records, i, record)
    {
        envelope->count += read_record(envelope, record, &envelope->events[envelope->count]);
    }
    envelope->kind = envelope->count > 0 ? ENVELOPE_EVENTS : ENVELOPE_UNKNOWN;
}

/* ---- EventBridge's */

static void read_bridge_object(struct envelope *envelope, const json_t *root)
{
    struct arena *arena = envelope->arena;
    const json_t *detail = json_object_get(root, "detail");
    const json_t *object = json_object_get(detail, "object");
    const char *type = text_of(root, "detail-type"), *key = text_of(object, "key");
    const char *bucket = text_of(json_object_get(detail, "bucket"), "name");
    const char *etag = text_of(object, "etag"), *version = text_of(object, "version-id");
    struct envelope_event *event = arena_alloc(arena, sizeof(*event));

    *event = (struct envelope_event){
        .what = strcmp(type, "Object Created") == 0   ? ENVELOPE_CREATED
                : strcmp(type, "Object Deleted") == 0 ? ENVELOPE_REMOVED
                                                      : ENVELOPE_OTHER,
        .name = arena_dup(arena, type),
        .bucket = arena_dup(arena, bucket),
        .key = arena_dup(arena, key),
        .alternative = "",
        /* moto, and who copied it, spell it as S3's own form does. */
        .etag = unquoted(arena, etag[0] != '\0' ? etag : text_of(object, "eTag")),
        .version = arena_dup(arena, version),
        .sequencer = hex_or_nothing(arena, text_of(object, "sequencer")),
        .one_version = version[0] != '\0' &&
                       strcmp(text_of(detail, "deletion-type"), "Delete Marker Created") != 0,
        .size = size_of(object),
        .event_ms = envelope_time_ms(text_of(root, "time")),
    };
    if (event->what != ENVELOPE_OTHER) {
        char *decoded = arena_alloc(arena, strlen(key) + 1);

        if (bucket[0] == '\0' || key[0] == '\0') {
            say(envelope, "an event '%.60s' has no bucket or no key", type);
            return;
        }
        if (envelope_decode_key(key, decoded) && strcmp(decoded, key) != 0) {
            event->alternative = decoded;
        }
    }
    envelope->kind = ENVELOPE_EVENTS;
    envelope->events = event;
    envelope->count = 1;
}

static void read_bridge_glue(struct envelope *envelope, const json_t *root)
{
    struct arena *arena = envelope->arena;
    const json_t *detail = json_object_get(root, "detail");
    const char *type = text_of(root, "detail-type");
    const bool crawler = strcmp(type, "Glue Crawler State Change") == 0;
    const bool job =
        strcmp(type, "Glue Job State Change") == 0 || strcmp(type, "Glue Job Run Status") == 0;
    const char *name = text_of(detail, crawler ? "crawlerName" : "jobName");
    const char *error = text_of(detail, "errorMessage");

    if ((!crawler && !job) || name[0] == '\0') {
        say(envelope, "an event '%.80s' of Glue, which nobody here waits for", type);
        return;
    }
    envelope->kind = ENVELOPE_GLUE;
    envelope->glue = (struct envelope_glue){
        .kind = crawler ? ENVELOPE_GLUE_CRAWLER : ENVELOPE_GLUE_JOB,
        .name = arena_dup(arena, name),
        .state = arena_dup(arena, text_of(detail, "state")),
        .run_id = arena_dup(arena, text_of(detail, "jobRunId")),
        .message = arena_dup(arena, error[0] != '\0' ? error : text_of(detail, "message")),
        .event_ms = envelope_time_ms(text_of(root, "time")),
    };
}

static void read_bridge(struct envelope *envelope, const json_t *root)
{
    const char *source = text_of(root, "source");

    if (!json_is_object(json_object_get(root, "detail"))) {
        say(envelope, "an event of '%.60s' without its detail", source);
    } else if (strcmp(source, "aws.s3") == 0) {
        read_bridge_object(envelope, root);
    } else if (strcmp(source, "aws.glue") == 0) {
        read_bridge_glue(envelope, root);
    } else {
        say(envelope, "an event '%.80s' of '%.60s', which nobody here waits for",
            text_of(root, "detail-type"), source);
    }
}

/* ---- the outside */

/** What is no wrapping any more. `wrapped`: it came through SNS. */
static void read_core(struct envelope *envelope, const json_t *root, bool wrapped)
{
    const json_t *records = json_object_get(root, "Records");

    if (records != NULL) {
        envelope->form = wrapped ? "sns+s3" : "s3";
        read_records(envelope, records);
    } else if (strcmp(text_of(root, "Event"), "s3:TestEvent") == 0) {
        envelope->form = wrapped ? "sns+s3" : "s3";
        envelope->kind = ENVELOPE_TEST;
    } else if (json_is_string(json_object_get(root, "detail-type"))) {
        envelope->form = wrapped ? "sns+eventbridge" : "eventbridge";
        read_bridge(envelope, root);
    } else {
        say(envelope, "neither a notification of S3 nor an event of EventBridge");
    }
}

static json_t *parse(struct envelope *envelope, const char *body, size_t len)
{
    json_error_t at;

    if (len > ENVELOPE_BODY_MAX || too_deep(body, len)) {
        say(envelope, "longer than %zu bytes or nested deeper than %d", ENVELOPE_BODY_MAX,
            ENVELOPE_DEPTH_MAX);
        return NULL;
    }
    json_t *root = json_loadb(body, len, 0, &at);

    if (root == NULL) {
        say(envelope, "no JSON: %.160s", at.text);
    } else if (!json_is_object(root)) {
        say(envelope, "no JSON object");
        json_decref(root);
        root = NULL;
    }
    return root;
}

/** Replaces `*root` by the message in it; false when it holds none. */
static bool unwrap(struct envelope *envelope, json_t **root)
{
    const char *type = text_of(*root, "Type");
    const json_t *message = json_object_get(*root, "Message");
    json_t *inner = NULL;

    if (strcmp(type, "Notification") != 0 || !json_is_string(message)) {
        say(envelope, "an SNS message of the type '%.40s'%s", type,
            strcmp(type, "SubscriptionConfirmation") == 0
                ? ": the subscription of this queue waits to be confirmed"
                : "");
        return false;
    }
    inner = parse(envelope, json_string_value(message), json_string_length(message));
    if (inner == NULL) {
        return false;
    }
    json_decref(*root);
    *root = inner;
    return true;
}

static bool is_sns(const json_t *root)
{
    return json_is_string(json_object_get(root, "Type")) &&
           json_is_string(json_object_get(root, "TopicArn"));
}

void envelope_read(const char *body, size_t len, struct envelope *ret_envelope)
{
    struct envelope *envelope = ret_envelope;
    unsigned wraps = 0;

    *envelope = (struct envelope){
        .kind = ENVELOPE_UNKNOWN, .form = "unknown", .reason = "", .arena = arena_new()};
    json_t *root = parse(envelope, body, len);

    while (root != NULL && is_sns(root)) {
        if (wraps++ == ENVELOPE_WRAPS_MAX) {
            say(envelope, "wrapped by SNS more than %d times", ENVELOPE_WRAPS_MAX);
            break;
        }
        if (!unwrap(envelope, &root)) {
            break;
        }
    }
    if (root != NULL && !is_sns(root)) {
        read_core(envelope, root, wraps > 0);
    }
    json_decref(root);
}

void envelope_refuse(const char *reason, struct envelope *ret_envelope)
{
    *ret_envelope = (struct envelope){
        .kind = ENVELOPE_UNKNOWN, .form = "unknown", .reason = "", .arena = arena_new()};
    say(ret_envelope, "%s", reason);
}

void envelope_done(struct envelope *envelope)
{
    arena_free(envelope->arena);
    *envelope = (struct envelope){.reason = ""};
}
