/** @file
 * Operations on one object, and deleting many.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/aws/s3_p.h"
#include "lib/base/mem.h"

/* ---- head ---- */

static bool length_of(const struct http_answer *http, uint64_t *ret_length)
{
    const char *length = http_answer_header(http, "content-length");

    return length != NULL && str_to_u64(length, ret_length);
}

static enum rc check_head(const struct http_answer *http, void *arg, struct err *err)
{
    const struct s3_op *op = arg;
    uint64_t length;

    if (!length_of(http, &length)) {
        return err_set(err, RC_CORRUPT, "S3 does not say how long '%.200s' is", op->key);
    }
    return s3_check_etag(http, arg, err);
}

static void on_head(const struct aws_answer *answer, const struct err *err, void *arg)
{
    struct s3_op *op = arg;
    struct s3_object object = {.key = op->key};
    char etag[S3_ETAG] = "";
    struct err room;

    err = s3_judge(op, answer, err, &room);
    if (err == NULL) {
        length_of(answer->http, &object.size);
        s3_etag(s3_answer_header(answer, "etag"), etag);
        object.etag = etag;
        object.version = s3_answer_header(answer, "x-amz-version-id");
        object.modified_ms = s3_time_ms(s3_answer_header(answer, "last-modified"));
        object.content_type = s3_answer_header(answer, "content-type");
    }
    op->done.object(err == NULL ? &object : NULL, err, op->arg);
    s3_op_free(op);
}

struct aws_call *s3_head(struct aws *aws, const char *bucket, const char *key, const char *version,
                         s3_object_fn *done, void *arg)
{
    struct s3_op *op = s3_op_new(aws, bucket, key, arg);
    scoped(s3_send_done) struct s3_send send;

    s3_send_init(&send, "HeadObject", "HEAD", bucket, key);
    s3_send_query(&send, "versionId", version);
    op->done.object = done;
    return s3_send_go(op, &send, check_head, on_head);
}

/* ---- get ---- */

/** What an answer says that it brings. */
struct range {
    uint64_t from, to, total; /**< `to` is that of its last byte; `total` 0: not said. */
};

static bool range_of(const struct http_answer *http, struct range *ret_range)
{
    const char *text = http_answer_header(http, "content-range");

    *ret_range = (struct range){.to = http->sunk - 1};
    if (http->status != 206) { /* a server without ranges sends the whole */
        ret_range->total = http->sunk;
        return http->sunk > 0;
    }
    return text != NULL && sscanf(text, "bytes %" SCNu64 "-%" SCNu64 "/%" SCNu64, &ret_range->from,
                                  &ret_range->to, &ret_range->total) >= 2;
}

/** The etag that it was pinned to, as far as the answer says one. */
static bool is_of_etag(const struct s3_op *op, const struct http_answer *http)
{
    const char *text = http_answer_header(http, "etag");
    char etag[S3_ETAG];

    if (op->etag == NULL || text == NULL) {
        return op->etag == NULL || http->sunk == op->len;
    }
    s3_etag(text, etag);
    return strcmp(etag, op->etag) == 0;
}

/** An answer brings what it says, from where it was asked for, and all of it unless the object ends
 * before, which on_get() sees. Anything else is not the object's doing. */
static enum rc check_get(const struct http_answer *http, void *arg, struct err *err)
{
    const struct s3_op *op = arg;
    struct range range;

    if (!is_of_etag(op, http)) {
        return err_set(err, RC_CORRUPT, "'%.200s': another object's bytes came", op->key);
    }
    if (!range_of(http, &range)) {
        return err_set(err, RC_CORRUPT, "'%.200s': S3 does not say which bytes it sent", op->key);
    }
    if (range.from != op->offset) {
        return err_set(err, RC_CORRUPT,
                       "'%.200s': bytes from %" PRIu64 " came instead of those from %" PRIu64,
                       op->key, range.from, op->offset);
    }
    if (range.to - range.from + 1 != http->sunk ||
        (http->sunk < op->len && range.total != range.to + 1)) {
        return err_set(err, RC_CORRUPT, "'%.200s': %zu bytes came instead of %zu", op->key,
                       http->sunk, op->len);
    }
    return RC_OK;
}

static void on_get(const struct aws_answer *answer, const struct err *err, void *arg)
{
    struct s3_op *op = arg;
    struct err room;

    err = s3_judge(op, answer, err, &room);
    if (err == NULL && answer->http->sunk < op->len) {
        err_set(&room, RC_CORRUPT, "'%.200s' ends at byte %" PRIu64 ", before %" PRIu64 " + %zu",
                op->key, op->offset + answer->http->sunk, op->offset, op->len);
        err = &room;
    }
    op->done.done(err, op->arg);
    s3_op_free(op);
}

struct aws_call *s3_get(struct aws *aws, const char *bucket, const char *key, const char *version,
                        const char *etag, uint64_t offset, size_t len, void *buffer,
                        s3_done_fn *done, void *arg)
{
    struct s3_op *op = s3_op_new(aws, bucket, key, arg);
    scoped(s3_send_done) struct s3_send send;
    char range[64];

    snprintf(range, sizeof(range), "bytes=%" PRIu64 "-%" PRIu64, offset, offset + len - 1);
    s3_send_init(&send, "GetObject", "GET", bucket, key);
    s3_send_query(&send, "versionId", version);
    s3_send_header(&send, "Range", range);
    if (etag != NULL && etag[0] != '\0') {
        s3_send_etag(&send, 0, "If-Match", etag);
        op->etag = str_dup(etag);
    }
    send.request.sink = buffer;
    send.request.sink_len = len;
    op->done.done = done;
    op->offset = offset;
    op->len = len;
    return s3_send_go(op, &send, check_get, on_get);
}

/* ---- put, copy ---- */

static void on_put(const struct aws_answer *answer, const struct err *err, void *arg)
{
    struct s3_op *op = arg;
    char etag[S3_ETAG] = "";
    struct err room;

    err = s3_judge(op, answer, err, &room);
    if (err == NULL) {
        s3_etag(s3_answer_header(answer, "etag"), etag);
    }
    op->done.put(etag, err == NULL ? s3_answer_header(answer, "x-amz-version-id") : "", err,
                 op->arg);
    s3_op_free(op);
}

struct aws_call *s3_put(struct aws *aws, const char *bucket, const struct s3_put *put,
                        s3_put_fn *done, void *arg)
{
    struct s3_op *op = s3_op_new(aws, bucket, put->key, arg);
    scoped(s3_send_done) struct s3_send send;
    char checksum[S3_CHECKSUM];

    s3_checksum(put->checksum, put->bytes, put->len, checksum);
    s3_send_init(&send, "PutObject", "PUT", bucket, put->key);
    s3_send_content(&send, put);
    s3_send_condition(&send, put);
    s3_send_header(&send, s3_checksum_header(put->checksum), checksum);
    send.request.body = put->bytes;
    send.request.body_len = put->len;
    op->done.put = done;
    op->conditional = put->if_match != NULL;
    return s3_send_go(op, &send, s3_check_etag, on_put);
}

static void on_copy(const struct aws_answer *answer, const struct err *err, void *arg)
{
    struct s3_op *op = arg;
    char etag[S3_ETAG] = "";
    struct err room;

    err = s3_judge(op, answer, err, &room);
    if (err == NULL) {
        s3_etag(xml_text(xml_root(op->doc), "ETag"), etag);
    }
    op->done.put(etag, err == NULL ? s3_answer_header(answer, "x-amz-version-id") : "", err,
                 op->arg);
    s3_op_free(op);
}

struct aws_call *s3_copy(struct aws *aws, const char *bucket, const struct s3_put *put,
                         const char *from_bucket, const char *from_key, const char *from_version,
                         const char *from_etag, s3_put_fn *done, void *arg)
{
    struct s3_op *op = s3_op_new(aws, bucket, put->key, arg);
    scoped(s3_send_done) struct s3_send send;

    s3_send_init(&send, "CopyObject", "PUT", bucket, put->key);
    s3_send_source(&send, from_bucket, from_key, from_version, from_etag);
    s3_send_condition(&send, put);
    send.request.in_body = true;
    send.request.idle_ms = S3_COPIES_MS;
    op->done.put = done;
    op->conditional = put->if_match != NULL;
    return s3_send_go_xml(op, &send, "CopyObject", s3_check_xml_etag, on_copy);
}

/* ---- delete ---- */

static void on_delete(const struct aws_answer *answer, const struct err *err, void *arg)
{
    struct s3_op *op = arg;
    struct err room;

    err = s3_judge(op, answer, err, &room);
    if (err != NULL && err->rc == RC_NOT_FOUND && strcmp(answer->code, "NoSuchBucket") != 0) {
        err = NULL;
    }
    op->done.done(err, op->arg);
    s3_op_free(op);
}

struct aws_call *s3_delete(struct aws *aws, const char *bucket, const char *key, s3_done_fn *done,
                           void *arg)
{
    struct s3_op *op = s3_op_new(aws, bucket, key, arg);
    scoped(s3_send_done) struct s3_send send;

    s3_send_init(&send, "DeleteObject", "DELETE", bucket, key);
    op->done.done = done;
    return s3_send_go(op, &send, s3_check_nothing, on_delete);
}

struct aws_call *s3_delete_if(struct aws *aws, const char *bucket, const char *key,
                              const char *etag, int64_t total_ms, s3_done_fn *done, void *arg)
{
    struct s3_op *op = s3_op_new(aws, bucket, key, arg);
    scoped(s3_send_done) struct s3_send send;

    s3_send_init(&send, "DeleteObject", "DELETE", bucket, key);
    s3_send_etag(&send, 0, "If-Match", etag);
    send.request.attempts = 1;
    send.request.total_ms = total_ms;
    op->done.done = done;
    op->conditional = true;
    return s3_send_go(op, &send, s3_check_nothing, on_delete);
}

/** What the service says of one key, as the code that says what to do. */
static enum rc rc_of(const char *code)
{
    if (strcmp(code, "AccessDenied") == 0) {
        return RC_DENIED;
    }
    return strcmp(code, "SlowDown") == 0 ? RC_THROTTLED
           : strcmp(code, "InternalError") == 0 || strcmp(code, "ServiceUnavailable") == 0
               ? RC_NETWORK
               : RC_INVALID;
}

static enum rc check_deleted(const struct s3_op *op, struct err *err)
{
    const struct xml_node *error = xml_child(xml_root(op->doc), "Error");

    while (error != NULL && strcmp(xml_text(error, "Code"), "NoSuchKey") == 0) {
        error = xml_again(error);
    }
    if (error == NULL) {
        return RC_OK;
    }
    return err_set(err, rc_of(xml_text(error, "Code")), "delete '%.200s': %.60s: %.100s",
                   xml_text(error, "Key"), xml_text(error, "Code"), xml_text(error, "Message"));
}

static void on_delete_many(const struct aws_answer *answer, const struct err *err, void *arg)
{
    struct s3_op *op = arg;
    struct err room;

    err = s3_judge(op, answer, err, &room);
    if (err == NULL && check_deleted(op, &room) != RC_OK) {
        err = &room;
    }
    op->done.done(err, op->arg);
    s3_op_free(op);
}

struct aws_call *s3_delete_many(struct aws *aws, const char *bucket, const char *const *keys,
                                unsigned count, s3_done_fn *done, void *arg)
{
    struct s3_op *op = s3_op_new(aws, bucket, "", arg);
    scoped(s3_send_done) struct s3_send send;
    char checksum[S3_CHECKSUM];

    strbuf_puts(&op->body, "<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
                           "<Quiet>true</Quiet>");
    for (unsigned i = 0; i < count; i++) {
        strbuf_puts(&op->body, "<Object><Key>");
        s3_xml_text(&op->body, keys[i]);
        strbuf_puts(&op->body, "</Key></Object>");
    }
    strbuf_puts(&op->body, "</Delete>");
    /* It must have a checksum, and this is the one that every server knows. */
    s3_checksum(S3_CHECKSUM_MD5, op->body.data, op->body.len, checksum);
    s3_send_init(&send, "DeleteObjects", "POST", bucket, "");
    s3_send_flag(&send, "delete");
    s3_send_header(&send, "Content-Type", "application/xml");
    s3_send_header(&send, s3_checksum_header(S3_CHECKSUM_MD5), checksum);
    send.request.body = op->body.data;
    send.request.body_len = op->body.len;
    send.request.body_max = S3_LIST_BODY;
    op->done.done = done;
    return s3_send_go_xml(op, &send, "Delete", NULL, on_delete_many);
}
