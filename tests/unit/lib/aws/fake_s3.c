/** @file
 * A small S3 in memory.
 */
#include "tests/unit/lib/aws/fake_s3.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "tests/unit.h"

struct fake_s3 fake_s3;

struct aws_call {
    char *operation, *method, *key;
    struct sigv4_pair query[12], headers[12];
    unsigned query_count, header_count, nth;
    const void *body;
    size_t body_len;
    char *sink;
    size_t sink_len;
    bool canceled, held;
    enum rc (*check)(const struct http_answer *http, void *arg, struct err *err);
    aws_done_fn *done;
    void *arg;

    /* the answer */
    unsigned status;
    const char *code;
    struct strbuf out;
    struct http_header answers[8];
    char values[8][160];
    unsigned answer_count;
    size_t sunk;
};

static const char *find(const struct sigv4_pair *pairs, unsigned count, const char *name)
{
    for (unsigned i = 0; i < count; i++) {
        if (strcasecmp(pairs[i].name, name) == 0) {
            return pairs[i].value;
        }
    }
    return NULL;
}

static const char *query(const struct aws_call *call, const char *name)
{
    return find(call->query, call->query_count, name);
}

static const char *header(const struct aws_call *call, const char *name)
{
    return find(call->headers, call->header_count, name);
}

/* ---- objects ---- */

static unsigned place_of(const char *key)
{
    unsigned at = 0;

    while (at < fake_s3.object_count && strcmp(fake_s3.objects[at].key, key) < 0) {
        at++;
    }
    return at;
}

static struct fake_object *object_at(const char *key)
{
    const unsigned at = place_of(key);

    return at < fake_s3.object_count && strcmp(fake_s3.objects[at].key, key) == 0
               ? &fake_s3.objects[at]
               : NULL;
}

const struct fake_object *fake_s3_find(const char *key)
{
    return object_at(key);
}

static struct fake_object *store(const char *key, const void *bytes, size_t len, unsigned parts)
{
    struct fake_object *object = object_at(key);

    if (object == NULL) {
        const unsigned at = place_of(key);

        assert_true(fake_s3.object_count < FAKE_OBJECTS);
        memmove(&fake_s3.objects[at + 1], &fake_s3.objects[at],
                (fake_s3.object_count++ - at) * sizeof(*object));
        object = &fake_s3.objects[at];
        *object = (struct fake_object){.key = str_dup(key)};
    }
    free(object->bytes);
    object->bytes = str_dup_n(bytes != NULL ? bytes : "", len);
    object->len = len;
    object->parts = parts;
    object->version = ++fake_s3.next_version;
    return object;
}

void fake_s3_put(const char *key, const char *text)
{
    store(key, text, strlen(text), 0);
}

static void drop(const char *key)
{
    struct fake_object *object = object_at(key);

    if (object != NULL) {
        const unsigned at = (unsigned)(object - fake_s3.objects);

        free(object->key);
        free(object->bytes);
        memmove(object, object + 1, (--fake_s3.object_count - at) * sizeof(*object));
    }
}

/** With its quotes. */
static const char *etag_of(const struct fake_object *object, char ret_text[40])
{
    if (object->parts > 0) {
        snprintf(ret_text, 40, "\"e%u-%u\"", object->version, object->parts);
    } else {
        snprintf(ret_text, 40, "\"e%u\"", object->version);
    }
    return ret_text;
}

/* ---- answers ---- */

static void refuse(struct aws_call *call, unsigned status, const char *code)
{
    call->status = status;
    call->code = code;
    strbuf_reset(&call->out);
}

static void answer_header(struct aws_call *call, const char *name, const char *value)
{
    snprintf(call->values[call->answer_count], sizeof(call->values[0]), "%s", value);
    call->answers[call->answer_count] =
        (struct http_header){name, call->values[call->answer_count]};
    call->answer_count++;
}

static void answer_etag(struct aws_call *call, const struct fake_object *object)
{
    char etag[40];

    answer_header(call, "etag", etag_of(object, etag));
}

/** If-Match and If-None-Match of a write. */
static bool may_write(struct aws_call *call)
{
    const char *must = header(call, "If-Match");
    const struct fake_object *object = object_at(call->key);
    char etag[40];

    if (header(call, "If-None-Match") != NULL && object != NULL) {
        refuse(call, 412, "PreconditionFailed");
        return false;
    }
    if (must != NULL && object == NULL) {
        refuse(call, 404, "NoSuchKey");
        return false;
    }
    if (must != NULL && strcmp(must, etag_of(object, etag)) != 0) {
        refuse(call, 412, "PreconditionFailed");
        return false;
    }
    if (fake_s3.no_crc32c && header(call, "x-amz-checksum-crc32c") != NULL) {
        refuse(call, 501, "NotImplemented");
        return false;
    }
    return true;
}

/** By the definition, a bit at a time. */
static unsigned crc32c(const unsigned char *bytes, size_t len)
{
    unsigned crc = ~0u;

    for (size_t i = 0; i < len; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ (0x82f63b78u & (0u - (crc & 1)));
        }
    }
    return ~crc;
}

static void check_crc32c(const struct aws_call *call)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *sent = header(call, "x-amz-checksum-crc32c");
    const uint64_t crc = crc32c(call->body, call->body_len);
    char base64[9] = "xxxxxx==";

    for (int i = 0; i < 6; i++) {
        base64[i] = digits[crc << 4 >> (30 - 6 * i) & 63];
    }
    if (sent != NULL) {
        assert_string_equal(sent, base64);
    }
}

static void url_encode(struct strbuf *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (isalnum((unsigned char)*text) || strchr("/-._~", *text) != NULL) {
            strbuf_putc(out, *text);
        } else if (*text == ' ') {
            strbuf_putc(out, '+');
        } else {
            strbuf_printf(out, "%%%02X", (unsigned char)*text);
        }
    }
}

static void do_list(struct aws_call *call)
{
    const char *prefix = query(call, "prefix"), *after = query(call, "start-after");
    const char *token = query(call, "continuation-token");
    const unsigned most = (unsigned)strtoul(query(call, "max-keys"), NULL, 10);
    const unsigned max = fake_s3.list_max != 0 ? MIN_OF(fake_s3.list_max, most) : most;
    unsigned at = token != NULL ? (unsigned)strtoul(token + 1, NULL, 10) : 0, count = 0;
    char etag[40];

    assert_string_equal(query(call, "encoding-type"), "url");
    if (token != NULL && fake_s3.no_tokens) {
        refuse(call, 400, "InvalidArgument");
        return;
    }
    strbuf_puts(&call->out, "<?xml version=\"1.0\"?><ListBucketResult "
                            "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
                            "<EncodingType>url</EncodingType>");
    for (; at < fake_s3.object_count && count < max; at++) {
        const struct fake_object *object = &fake_s3.objects[at];

        if ((prefix != NULL && !str_starts(object->key, prefix)) ||
            (after != NULL && strcmp(object->key, after) <= 0)) {
            continue;
        }
        count++;
        strbuf_puts(&call->out, "<Contents><Key>");
        url_encode(&call->out, object->key);
        strbuf_printf(&call->out,
                      "</Key><LastModified>2019-05-12T18:30:00.123Z</LastModified>"
                      "<ETag>&quot;%.*s&quot;</ETag><Size>%zu</Size></Contents>",
                      (int)strlen(etag_of(object, etag)) - 2, etag + 1, object->len);
    }
    if (at < fake_s3.object_count) {
        strbuf_printf(&call->out,
                      "<IsTruncated>true</IsTruncated>"
                      "<NextContinuationToken>t%u</NextContinuationToken>",
                      at);
    }
    strbuf_puts(&call->out, "</ListBucketResult>");
}

static void do_head(struct aws_call *call)
{
    const struct fake_object *object = object_at(call->key);
    char len[24];

    if (object == NULL) {
        refuse(call, 404, "");
        return;
    }
    snprintf(len, sizeof(len), "%zu", object->len);
    answer_header(call, "content-length", len);
    answer_header(call, "last-modified", "Sun, 12 May 2019 18:30:00 GMT");
    answer_header(call, "x-amz-version-id", "v7");
    answer_header(call, "content-type", "text/plain");
    answer_etag(call, object);
}

static void do_get(struct aws_call *call)
{
    const struct fake_object *object = object_at(call->key);
    const char *must = header(call, "If-Match");
    size_t from, to;
    char text[80];

    if (object == NULL) {
        refuse(call, 404, "NoSuchKey");
        return;
    }
    if (must != NULL && strcmp(must, etag_of(object, text)) != 0) {
        refuse(call, 412, "PreconditionFailed");
        return;
    }
    assert_int_equal(sscanf(header(call, "Range"), "bytes=%zu-%zu", &from, &to), 2);
    if (from >= object->len) {
        refuse(call, 416, "InvalidRange");
        return;
    }
    call->status = 206;
    call->sunk = MIN_OF(to + 1, object->len) - from;
    memcpy(call->sink, object->bytes + from, call->sunk);
    snprintf(text, sizeof(text), "bytes %zu-%zu/%zu", from, from + call->sunk - 1, object->len);
    answer_header(call, "content-range", text);
    answer_etag(call, object);
}

static void do_put(struct aws_call *call)
{
    if (may_write(call)) {
        check_crc32c(call);
        answer_etag(call, store(call->key, call->body, call->body_len, 0));
    }
}

/** "/bucket/key?versionId=v" of the header. */
static const struct fake_object *source_of(struct aws_call *call)
{
    scoped(free) char *text = str_dup(header(call, "x-amz-copy-source"));
    const char *must = header(call, "x-amz-copy-source-if-match");
    const struct fake_object *object;
    char etag[40];

    text[strcspn(text, "?")] = '\0';
    object = object_at(strchr(text + 1, '/') + 1);
    if (object == NULL) {
        refuse(call, 404, "NoSuchKey");
    } else if (must != NULL && strcmp(must, etag_of(object, etag)) != 0) {
        refuse(call, 412, "PreconditionFailed");
        object = NULL;
    }
    return object;
}

static void do_copy(struct aws_call *call)
{
    const struct fake_object *source = source_of(call);
    char etag[40];

    if (source != NULL && may_write(call)) {
        scoped(free) char *bytes = str_dup_n(source->bytes, source->len);

        etag_of(store(call->key, bytes, source->len, 0), etag);
        strbuf_printf(&call->out, "<CopyObjectResult><ETag>%s</ETag></CopyObjectResult>", etag);
    }
}

static void do_delete_many(struct aws_call *call)
{
    scoped(free) char *body = str_dup_n(call->body, call->body_len);

    assert_non_null(header(call, "Content-MD5"));
    for (char *at = strstr(body, "<Key>"); at != NULL; at = strstr(at, "<Key>")) {
        char key[1100];
        size_t len = 0;

        for (at += 5; *at != '<'; at++) {
            unsigned c = (unsigned char)*at;

            if (*at == '&') {
                assert_int_equal(sscanf(at, "&#x%X;", &c), 1);
                at = strchr(at, ';');
            }
            key[len++] = (char)c;
        }
        key[len] = '\0';
        drop(key);
    }
    strbuf_puts(&call->out, "<DeleteResult></DeleteResult>");
}

/* ---- multipart ---- */

static struct fake_upload *upload_of(struct aws_call *call)
{
    const char *id = query(call, "uploadId");
    struct fake_upload *upload =
        &fake_s3.uploads[MIN_OF(strtoul(id + 1, NULL, 10), FAKE_UPLOADS - 1ul)];

    if (!upload->open) {
        refuse(call, 404, "NoSuchUpload");
        return NULL;
    }
    assert_string_equal(upload->key, call->key);
    return upload;
}

static void do_create(struct aws_call *call)
{
    struct fake_upload *upload = &fake_s3.uploads[fake_s3.upload_count];

    assert_true(fake_s3.upload_count < FAKE_UPLOADS);
    upload->key = str_dup(call->key);
    upload->open = true;
    upload->crc32c = header(call, "x-amz-checksum-algorithm") != NULL;
    strbuf_printf(&call->out,
                  "<InitiateMultipartUploadResult><UploadId>u%u</UploadId>"
                  "</InitiateMultipartUploadResult>",
                  fake_s3.upload_count++);
}

static struct fake_part *take_part(struct aws_call *call, const void *bytes, size_t len)
{
    struct fake_upload *upload = upload_of(call);
    const unsigned long number = strtoul(query(call, "partNumber"), NULL, 10);

    if (upload == NULL) {
        return NULL;
    }
    assert_in_range(number, 1, ARRAY_LEN(upload->parts));
    struct fake_part *part = &upload->parts[number - 1];

    free(part->bytes);
    part->bytes = str_dup_n(bytes, len);
    part->len = len;
    return part;
}

static void do_part(struct aws_call *call)
{
    struct fake_part *part;
    const char *checksum = header(call, "x-amz-checksum-crc32c");
    char etag[40];

    check_crc32c(call);
    part = take_part(call, call->body, call->body_len);
    if (part != NULL && upload_of(call)->crc32c != (checksum != NULL)) {
        refuse(call, 400, "InvalidRequest");
    } else if (part != NULL) {
        snprintf(part->checksum, sizeof(part->checksum), "%s", checksum != NULL ? checksum : "");
        snprintf(etag, sizeof(etag), "\"p%s\"", query(call, "partNumber"));
        answer_header(call, "etag", etag);
    }
}

static void do_part_copy(struct aws_call *call)
{
    const struct fake_object *source = source_of(call);
    size_t from, to;

    if (source == NULL) {
        return;
    }
    assert_int_equal(sscanf(header(call, "x-amz-copy-source-range"), "bytes=%zu-%zu", &from, &to),
                     2);
    assert_true(to < source->len);
    if (take_part(call, source->bytes + from, to + 1 - from) != NULL) {
        strbuf_printf(&call->out, "<CopyPartResult><ETag>\"p%s\"</ETag></CopyPartResult>",
                      query(call, "partNumber"));
    }
}

static void do_complete(struct aws_call *call)
{
    struct fake_upload *upload = upload_of(call);
    scoped(free) char *body = str_dup_n(call->body, call->body_len);
    scoped(strbuf_done) struct strbuf all = {0};
    unsigned count = 0;
    char etag[40];

    if (upload == NULL || !may_write(call)) {
        return;
    }
    for (const char *at = strstr(body, "<PartNumber>"); at != NULL;
         at = strstr(at + 1, "<PartNumber>")) {
        char part[160];

        count++;
        snprintf(part, sizeof(part), "<PartNumber>%u</PartNumber><ETag>&quot;p%u&quot;</ETag>%s",
                 count, count, upload->crc32c ? "<ChecksumCRC32C>" : "</Part>");
        assert_int_equal(strncmp(at, part, strlen(part)), 0);
        strbuf_add(&all, upload->parts[count - 1].bytes, upload->parts[count - 1].len);
    }
    upload->open = false;
    etag_of(store(call->key, all.data, all.len, count), etag);
    strbuf_printf(&call->out,
                  "<CompleteMultipartUploadResult><ETag>%s</ETag>"
                  "</CompleteMultipartUploadResult>",
                  etag);
}

static void do_abort(struct aws_call *call)
{
    struct fake_upload *upload = upload_of(call);

    if (upload != NULL) {
        upload->open = false;
        call->status = 204;
    }
}

/** Two parts a page. */
static void do_parts(struct aws_call *call)
{
    const struct fake_upload *upload = upload_of(call);
    const char *marker = query(call, "part-number-marker");
    unsigned at = marker != NULL ? (unsigned)strtoul(marker, NULL, 10) : 0, count = 0;

    if (upload == NULL) {
        return;
    }
    strbuf_puts(&call->out, "<ListPartsResult>");
    for (; at < ARRAY_LEN(upload->parts) && count < 2; at++) {
        const struct fake_part *part = &upload->parts[at];

        if (part->bytes != NULL) {
            count++;
            strbuf_printf(&call->out,
                          "<Part><PartNumber>%u</PartNumber><ETag>\"p%u\"</ETag><Size>%zu</Size>"
                          "<ChecksumCRC32C>%s</ChecksumCRC32C></Part>",
                          at + 1, at + 1, part->len, part->checksum);
        }
    }
    strbuf_printf(&call->out,
                  "<IsTruncated>%s</IsTruncated><NextPartNumberMarker>%u</NextPartNumberMarker>"
                  "</ListPartsResult>",
                  count == 2 ? "true" : "false", at);
}

static const struct {
    const char *operation;
    void (*run)(struct aws_call *call);
} operations[] = {
    {"ListObjectsV2", do_list},
    {"HeadObject", do_head},
    {"GetObject", do_get},
    {"PutObject", do_put},
    {"CopyObject", do_copy},
    {"DeleteObjects", do_delete_many},
    {"CreateMultipartUpload", do_create},
    {"UploadPart", do_part},
    {"UploadPartCopy", do_part_copy},
    {"CompleteMultipartUpload", do_complete},
    {"AbortMultipartUpload", do_abort},
    {"ListParts", do_parts},
};

/* ---- calls ---- */

static struct fake_fault *fault_of(const struct aws_call *call)
{
    for (unsigned i = 0; i < ARRAY_LEN(fake_s3.faults); i++) {
        struct fake_fault *fault = &fake_s3.faults[i];

        if (fault->operation != NULL && strcmp(fault->operation, call->operation) == 0 &&
            (fault->nth == call->nth || fault->nth == 0)) {
            return fault;
        }
    }
    return NULL;
}

static void delete_if(struct aws_call *call)
{
    const struct fake_object *object = fake_s3_find(call->key);
    const char *match = header(call, "If-Match");
    scoped(free) char *etag = object != NULL ? str_printf("\"e%u\"", object->version) : NULL;

    call->status = 204;
    if (match != NULL && fake_s3.no_delete_if) {
        refuse(call, 501, "NotImplemented");
    } else if (match != NULL && etag != NULL && strcmp(match, etag) != 0) {
        refuse(call, 412, "PreconditionFailed");
    } else {
        drop(call->key);
    }
}

static void run(struct aws_call *call)
{
    const struct fake_fault *fault = fault_of(call);

    call->status = 200;
    if (fault == NULL || fault->done_all_the_same) {
        if (strcmp(call->operation, "DeleteObject") == 0) {
            delete_if(call);
        }
        for (unsigned i = 0; i < ARRAY_LEN(operations); i++) {
            if (strcmp(operations[i].operation, call->operation) == 0) {
                operations[i].run(call);
            }
        }
    }
    if (fault != NULL) {
        refuse(call, fault->status, fault->code);
        strbuf_puts(&call->out, fault->body != NULL ? fault->body : "");
    }
}

/** As lib/aws/aws.h says. */
static enum rc rc_of(const struct aws_call *call)
{
    switch (call->status) {
    case 404:
        return RC_NOT_FOUND;
    case 403:
        return RC_DENIED;
    case 412:
    case 409:
        return strcmp(call->method, "GET") == 0 ? RC_CHANGED : RC_CONFLICT;
    case 501:
        return RC_UNSUPPORTED;
    default:
        return call->status >= 500 ? RC_NETWORK : RC_INVALID;
    }
}

static void call_free(struct aws_call *call)
{
    for (unsigned i = 0; i < call->query_count; i++) {
        free((void *)(uintptr_t)call->query[i].name);
        free((void *)(uintptr_t)call->query[i].value);
    }
    for (unsigned i = 0; i < call->header_count; i++) {
        free((void *)(uintptr_t)call->headers[i].name);
        free((void *)(uintptr_t)call->headers[i].value);
    }
    free(call->operation);
    free(call->method);
    free(call->key);
    strbuf_done(&call->out);
    free(call);
}

static void answer(void *arg)
{
    struct aws_call *call = arg;
    struct err err = {.rc = RC_OK};

    if (call->canceled) {
        err_set(&err, RC_CANCELED, "canceled");
    } else {
        run(call);
        if (call->status >= 300) {
            err_set(&err, rc_of(call), "%s '%s': %u %s", call->operation, call->key, call->status,
                    call->code);
        }
    }
    const struct http_answer http = {.status = call->status,
                                     .headers = call->answers,
                                     .header_count = call->answer_count,
                                     .body = strbuf_text(&call->out),
                                     .body_len = call->out.len,
                                     .sunk = call->sunk};
    const struct aws_answer result = {.http = call->canceled ? NULL : &http,
                                      .code = call->code != NULL ? call->code : "",
                                      .request_id = ""};

    if (err.rc == RC_OK && call->check != NULL && call->check(&http, call->arg, &err) != RC_OK) {
        err.rc = RC_NETWORK; /* and again, and again */
    }
    fake_s3.under_way--;
    call->done(&result, err.rc != RC_OK ? &err : NULL, call->arg);
    call_free(call);
}

static void copy_pairs(struct sigv4_pair *to, const struct sigv4_pair *from, unsigned count)
{
    assert_true(count <= 12);
    for (unsigned i = 0; i < count; i++) {
        to[i] = (struct sigv4_pair){str_dup(from[i].name), str_dup(from[i].value)};
    }
}

struct aws_call *aws_send(struct aws *aws, const struct aws_request *request, aws_done_fn *done,
                          void *arg)
{
    struct aws_call *call = mem_new(struct aws_call);
    const size_t len = strlen(fake_s3.log);

    (void)aws;
    assert_string_equal(request->service, "s3");
    assert_string_equal(request->bucket, "bucket");
    assert_int_equal(request->path[0], '/');
    *call = (struct aws_call){.operation = str_dup(request->operation),
                              .method = str_dup(request->method),
                              .key = str_dup(request->path + 1),
                              .query_count = request->query_count,
                              .header_count = request->header_count,
                              .body = request->body,
                              .body_len = request->body_len,
                              .sink = request->sink,
                              .sink_len = request->sink_len,
                              .check = request->check,
                              .done = done,
                              .arg = arg};
    copy_pairs(call->query, request->query, request->query_count);
    copy_pairs(call->headers, request->headers, request->header_count);
    call->nth = fake_s3_count(request->operation) + 1;
    snprintf(fake_s3.log + len, sizeof(fake_s3.log) - len, "%s %s\n", call->operation, call->key);
    if (request->in_body && (fake_s3.idle_ms == 0 || request->idle_ms < fake_s3.idle_ms)) {
        fake_s3.idle_ms = request->idle_ms;
    }
    fake_s3.calls++;
    fake_s3.under_way++;
    fake_s3.peak = MAX_OF(fake_s3.peak, fake_s3.under_way);
    call->held = fault_of(call) != NULL && fault_of(call)->hold;
    if (!call->held) {
        loop_defer(fake_s3.loop, answer, call);
    }
    return call;
}

void aws_cancel(struct aws_call *call)
{
    call->canceled = true;
    if (call->held) {
        call->held = false;
        loop_defer(fake_s3.loop, answer, call);
    }
}

const char *http_answer_header(const struct http_answer *http, const char *name)
{
    for (unsigned i = 0; i < http->header_count; i++) {
        if (strcmp(http->headers[i].name, name) == 0) {
            return http->headers[i].value;
        }
    }
    return NULL;
}

unsigned fake_s3_count(const char *operation)
{
    scoped(free) char *line = str_printf("%s ", operation);
    unsigned count = 0;

    for (const char *at = fake_s3.log; *at != '\0'; at = strchr(at, '\n') + 1) {
        count += str_starts(at, line);
    }
    return count;
}

void fake_s3_start(struct loop *loop)
{
    fake_s3 = (struct fake_s3){.loop = loop};
}

void fake_s3_stop(void)
{
    assert_int_equal(fake_s3.under_way, 0);
    while (fake_s3.object_count > 0) {
        drop(fake_s3.objects[0].key);
    }
    for (unsigned i = 0; i < fake_s3.upload_count; i++) {
        free(fake_s3.uploads[i].key);
        for (unsigned part = 0; part < ARRAY_LEN(fake_s3.uploads[i].parts); part++) {
            free(fake_s3.uploads[i].parts[part].bytes);
        }
    }
}
