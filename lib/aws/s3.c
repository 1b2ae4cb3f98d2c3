/** @file
 * How S3's requests are put together and its answers read.
 */
#include "lib/aws/s3.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "lib/aws/s3_p.h"
#include "lib/base/mem.h"
#include "lib/base/now.h"

/* ---- a request ---- */

void s3_send_init(struct s3_send *send, const char *operation, const char *method,
                  const char *bucket, const char *key)
{
    *send = (struct s3_send){.request = {.service = "s3",
                                         .operation = operation,
                                         .method = method,
                                         .bucket = bucket,
                                         .query = send->query,
                                         .headers = send->headers}};
    strbuf_putc(&send->path, '/');
    strbuf_puts(&send->path, key);
    send->request.path = strbuf_text(&send->path);
}

void s3_send_done(struct s3_send *send)
{
    strbuf_done(&send->path);
    for (unsigned i = 0; i < ARRAY_LEN(send->texts); i++) {
        strbuf_done(&send->texts[i]);
    }
}

void s3_send_flag(struct s3_send *send, const char *name)
{
    send->query[send->request.query_count++] = (struct sigv4_pair){name, ""};
}

void s3_send_query(struct s3_send *send, const char *name, const char *value)
{
    if (value != NULL && value[0] != '\0') {
        send->query[send->request.query_count++] = (struct sigv4_pair){name, value};
    }
}

void s3_send_header(struct s3_send *send, const char *name, const char *value)
{
    if (value != NULL && value[0] != '\0') {
        send->headers[send->request.header_count++] = (struct sigv4_pair){name, value};
    }
}

void s3_send_etag(struct s3_send *send, unsigned slot, const char *name, const char *etag)
{
    strbuf_printf(&send->texts[slot], "\"%s\"", etag);
    s3_send_header(send, name, strbuf_text(&send->texts[slot]));
}

void s3_send_condition(struct s3_send *send, const struct s3_put *put)
{
    if (put->if_match == NULL) {
        return;
    }
    if (put->if_match[0] == '\0') {
        s3_send_header(send, "If-None-Match", "*");
    } else {
        s3_send_etag(send, 0, "If-Match", put->if_match);
    }
}

void s3_send_content(struct s3_send *send, const struct s3_put *put)
{
    s3_send_header(send, "Content-Type",
                   put->content_type != NULL ? put->content_type : "application/octet-stream");
    s3_send_header(send, "Content-Encoding", put->content_encoding);
}

void s3_send_source(struct s3_send *send, const char *bucket, const char *key, const char *version,
                    const char *etag)
{
    struct strbuf *source = &send->texts[1];

    strbuf_printf(source, "/%s/", bucket);
    sigv4_encode(source, key, true);
    if (version != NULL && version[0] != '\0') {
        strbuf_puts(source, "?versionId=");
        sigv4_encode(source, version, false);
    }
    s3_send_header(send, "x-amz-copy-source", strbuf_text(source));
    if (etag != NULL && etag[0] != '\0') {
        s3_send_etag(send, 2, "x-amz-copy-source-if-match", etag);
    }
}

/* ---- one under way ---- */

struct s3_op *s3_op_new(struct aws *aws, const char *bucket, const char *key, void *arg)
{
    struct s3_op *op = mem_new(struct s3_op);

    op->aws = aws;
    op->bucket = str_dup(bucket);
    op->key = str_dup(key);
    op->arg = arg;
    return op;
}

void s3_op_free(struct s3_op *op)
{
    free(op->bucket);
    free(op->key);
    free(op->upload);
    free(op->parts);
    free(op->etag);
    free(op->objects);
    arena_free(op->arena);
    xml_free(op->doc);
    strbuf_done(&op->body);
    free(op);
}

struct aws_call *s3_send_go(struct s3_op *op, struct s3_send *send, s3_check_fn *check,
                            aws_done_fn *done)
{
    send->request.check = check;
    return aws_send(op->aws, &send->request, done, op);
}

struct aws_call *s3_send_go_xml(struct s3_op *op, struct s3_send *send, const char *root,
                                s3_check_fn *check, aws_done_fn *done)
{
    op->root = root;
    return s3_send_go(op, send, check != NULL ? check : s3_check_xml, done);
}

/* ---- answers ---- */

const struct err *s3_judge(const struct s3_op *op, const struct aws_answer *answer,
                           const struct err *err, struct err *room)
{
    const unsigned status = answer->http != NULL ? answer->http->status : 0;

    if (err == NULL) {
        return NULL;
    }
    *room = *err;
    if (status == 501) {
        room->rc = RC_UNSUPPORTED;
    } else if (status == 412 && !op->conditional) {
        room->rc = RC_CHANGED;
    } else if (strcmp(answer->code, "InvalidRange") == 0) {
        room->rc = RC_CORRUPT; /* it ends before what was asked for */
    }
    return room;
}

enum rc s3_check_xml(const struct http_answer *http, void *arg, struct err *err)
{
    struct s3_op *op = arg;
    scoped(xml_free) struct xml_doc *doc = NULL;

    if (xml_parse(http->body, http->body_len, &doc, err) != RC_OK) {
        return err_wrap(err, "the answer of S3");
    }
    /* Some servers say "...Response" where S3 says "...Result". */
    if (strncmp(xml_root(doc)->name, op->root, strlen(op->root)) != 0) {
        return err_set(err, RC_CORRUPT, "the answer of S3 is a '%.60s', not a '%s'",
                       xml_root(doc)->name, op->root);
    }
    xml_free(op->doc);
    op->doc = TAKE(doc);
    return RC_OK;
}

enum rc s3_check_xml_etag(const struct http_answer *http, void *arg, struct err *err)
{
    struct s3_op *op = arg;

    if (s3_check_xml(http, op, err) != RC_OK) {
        return err->rc;
    }
    return xml_text(xml_root(op->doc), "ETag")[0] != '\0'
               ? RC_OK
               : err_set(err, RC_CORRUPT, "the answer of S3 has no etag");
}

enum rc s3_check_etag(const struct http_answer *http, void *arg, struct err *err)
{
    const char *etag = http_answer_header(http, "etag");
    (void)arg;

    return etag != NULL && etag[0] != '\0'
               ? RC_OK
               : err_set(err, RC_CORRUPT, "the answer of S3 has no etag");
}

enum rc s3_check_nothing(const struct http_answer *http, void *arg, struct err *err)
{
    const char *type = http_answer_header(http, "content-type");
    (void)arg;

    return http->body_len == 0 || type == NULL || strncasecmp(type, "text/html", 9) != 0
               ? RC_OK
               : err_set(err, RC_CORRUPT, "the answer of S3 is a page for people");
}

const char *s3_answer_header(const struct aws_answer *answer, const char *name)
{
    const char *value = http_answer_header(answer->http, name);

    return value != NULL ? value : "";
}

void s3_etag(const char *text, char ret_etag[S3_ETAG])
{
    size_t len;

    text += str_starts(text, "W/") ? 2 : 0;
    text += text[0] == '"';
    len = strlen(text);
    len -= len > 0 && text[len - 1] == '"';
    len = MIN_OF(len, (size_t)S3_ETAG - 1);
    memcpy(ret_etag, text, len);
    ret_etag[len] = '\0';
}

static int64_t iso_time_ms(const char *text)
{
    char second[20];
    int64_t epoch_s;
    unsigned ms = 0;

    snprintf(second, sizeof(second), "%.19s", text);
    if (!now_parse_utc(second, &epoch_s)) {
        return 0;
    }
    if (text[19] == '.') {
        unsigned weight = 100;

        for (const char *c = text + 20; *c >= '0' && *c <= '9'; c++, weight /= 10) {
            ms += weight * (unsigned)(*c - '0');
        }
    }
    return epoch_s * 1000 + (int64_t)ms;
}

static int64_t http_time_ms(const char *text)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    char month[4], utc[NOW_TEXT];
    unsigned day, year, hour, minute, second;
    int64_t epoch_s;

    if (sscanf(text, "%*3[A-Za-z], %2u %3[A-Za-z] %4u %2u:%2u:%2u GMT", &day, month, &year, &hour,
               &minute, &second) != 6) {
        return 0;
    }
    const char *found = strstr(months, month);

    if (strlen(month) != 3 || found == NULL || (found - months) % 3 != 0) {
        return 0;
    }
    snprintf(utc, sizeof(utc), "%04u-%02u-%02u %02u:%02u:%02u", year,
             (unsigned)(found - months) / 3 + 1, day, hour, minute, second);
    return now_parse_utc(utc, &epoch_s) ? epoch_s * 1000 : 0;
}

int64_t s3_time_ms(const char *text)
{
    return text[0] >= '0' && text[0] <= '9' ? iso_time_ms(text) : http_time_ms(text);
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

char *s3_decode(struct arena *arena, const char *text)
{
    char *out = arena_dup(arena, text), *to = out;

    for (; *text != '\0'; text++) {
        const int high = *text == '%' ? hex_value(text[1]) : -1;
        const int low = high >= 0 ? hex_value(text[2]) : -1;

        if (low < 0) {
            *to++ = (char)(*text == '+' ? ' ' : *text);
            continue;
        }
        text += 2;
        if (high == 0 && low == 0) {
            *to++ = (char)0xc0;
            *to++ = (char)0x80;
        } else {
            *to++ = (char)(high << 4 | low);
        }
    }
    *to = '\0';
    return out;
}

void s3_xml_text(struct strbuf *out, const char *text)
{
    for (; *text != '\0'; text++) {
        const unsigned char c = (unsigned char)*text;

        if (c < 0x20 || strchr("<>&\"'", c) != NULL) {
            strbuf_printf(out, "&#x%X;", c);
        } else {
            strbuf_putc(out, *text);
        }
    }
}

bool s3_key_fits_xml(const char *key)
{
    for (; *key != '\0'; key++) {
        const unsigned char c = (unsigned char)*key;

        if (c < 0x20 && c != '\t' && c != '\n' && c != '\r') {
            return false;
        }
    }
    return true;
}

/* ---- listing ---- */

static enum rc read_object(const struct xml_node *node, bool encoded, struct arena *arena,
                           struct s3_object *ret_object, struct err *err)
{
    const char *key = xml_text(node, "Key");
    char etag[S3_ETAG];
    uint64_t size;

    if (xml_child(node, "Key") == NULL || !str_to_u64(xml_text(node, "Size"), &size)) {
        return err_set(err, RC_CORRUPT, "the listing of S3 has an object without key or size");
    }
    s3_etag(xml_text(node, "ETag"), etag);
    *ret_object = (struct s3_object){
        .key = encoded ? s3_decode(arena, key) : key,
        .size = size,
        .etag = arena_dup(arena, etag),
        .version = "",
        .modified_ms = s3_time_ms(xml_text(node, "LastModified")),
        .content_type = "",
    };
    return RC_OK;
}

static const char *next_page(const struct xml_node *root)
{
    const bool more = strcmp(xml_text(root, "IsTruncated"), "true") == 0;

    return more ? xml_text(root, "NextContinuationToken") : "";
}

/** A page, into op->objects. */
static enum rc check_page(const struct http_answer *http, void *arg, struct err *err)
{
    struct s3_op *op = arg;
    const struct xml_node *root;
    bool encoded;

    if (s3_check_xml(http, op, err) != RC_OK) {
        return err->rc;
    }
    root = xml_root(op->doc);
    encoded = strcmp(xml_text(root, "EncodingType"), "url") == 0;
    op->object_count = 0;
    for (const struct xml_node *node = xml_child(root, "Contents"); node != NULL;
         node = xml_again(node)) {
        if (op->object_count == S3_LIST_MAX) {
            return err_set(err, RC_CORRUPT, "the listing of S3 has more than %d objects",
                           S3_LIST_MAX);
        }
        if (read_object(node, encoded, op->arena, &op->objects[op->object_count++], err) != RC_OK) {
            return err->rc;
        }
    }
    if (strcmp(xml_text(root, "IsTruncated"), "true") == 0 && next_page(root)[0] == '\0') {
        return err_set(err, RC_CORRUPT, "the listing of S3 breaks off and does not say where");
    }
    return RC_OK;
}

static void on_list(const struct aws_answer *answer, const struct err *err, void *arg)
{
    struct s3_op *op = arg;
    struct err room;

    err = s3_judge(op, answer, err, &room);
    if (err == NULL) {
        op->done.list(op->objects, op->object_count, next_page(xml_root(op->doc)), NULL, op->arg);
    } else {
        op->done.list(NULL, 0, "", err, op->arg);
    }
    s3_op_free(op);
}

struct aws_call *s3_list(struct aws *aws, const char *bucket, const char *prefix, const char *after,
                         const char *next, unsigned max, s3_list_fn *done, void *arg)
{
    struct s3_op *op = s3_op_new(aws, bucket, "", arg);
    scoped(s3_send_done) struct s3_send send;
    char count[16];

    snprintf(count, sizeof(count), "%u", MIN_OF(max, (unsigned)S3_LIST_MAX));
    s3_send_init(&send, "ListObjectsV2", "GET", bucket, "");
    s3_send_query(&send, "list-type", "2");
    s3_send_query(&send, "encoding-type", "url");
    s3_send_query(&send, "max-keys", count);
    s3_send_query(&send, "prefix", prefix);
    s3_send_query(&send, "continuation-token", next);
    s3_send_query(&send, "start-after", next[0] == '\0' ? after : "");
    send.request.body_max = S3_LIST_BODY;
    op->done.list = done;
    op->objects = mem_resize(NULL, S3_LIST_MAX, sizeof(op->objects[0]));
    op->arena = arena_new();
    return s3_send_go_xml(op, &send, "ListBucket", check_page, on_list);
}
