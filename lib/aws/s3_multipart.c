/** @file
 * The steps of a multipart upload.
 */
#include <inttypes.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "lib/aws/s3_p.h"
#include "lib/base/mem.h"

static struct s3_op *upload_op(struct aws *aws, const char *bucket, const char *key,
                               const char *upload_id, void *arg)
{
    struct s3_op *op = s3_op_new(aws, bucket, key, arg);

    op->upload = str_dup(upload_id);
    return op;
}

/* ---- begin, abort ---- */

static enum rc check_create(const struct http_answer *http, void *arg, struct err *err)
{
    const struct s3_op *op = arg;

    if (s3_check_xml(http, arg, err) != RC_OK) {
        return err->rc;
    }
    return xml_text(xml_root(op->doc), "UploadId")[0] != '\0'
               ? RC_OK
               : err_set(err, RC_CORRUPT, "'%.200s': S3 gave the upload no id", op->key);
}

static void on_create(const struct aws_answer *answer, const struct err *err, void *arg)
{
    struct s3_op *op = arg;
    struct err room;

    err = s3_judge(op, answer, err, &room);
    op->done.text(err == NULL ? xml_text(xml_root(op->doc), "UploadId") : "", err, op->arg);
    s3_op_free(op);
}

struct aws_call *s3_multipart_create(struct aws *aws, const char *bucket, const struct s3_put *put,
                                     s3_text_fn *done_upload_id, void *arg)
{
    struct s3_op *op = s3_op_new(aws, bucket, put->key, arg);
    scoped(s3_send_done) struct s3_send send;

    s3_send_init(&send, "CreateMultipartUpload", "POST", bucket, put->key);
    s3_send_flag(&send, "uploads");
    s3_send_content(&send, put);
    if (put->checksum == S3_CHECKSUM_CRC32C) {
        s3_send_header(&send, "x-amz-checksum-algorithm", "CRC32C");
    }
    op->done.text = done_upload_id;
    return s3_send_go_xml(op, &send, "InitiateMultipartUpload", check_create, on_create);
}

/** What is not there any more need not be aborted. */
static void on_abort(const struct aws_answer *answer, const struct err *err, void *arg)
{
    struct s3_op *op = arg;
    struct err room;

    err = s3_judge(op, answer, err, &room);
    op->done.done(err != NULL && err->rc == RC_NOT_FOUND ? NULL : err, op->arg);
    s3_op_free(op);
}

struct aws_call *s3_multipart_abort(struct aws *aws, const char *bucket, const char *key,
                                    const char *upload_id, s3_done_fn *done, void *arg)
{
    struct s3_op *op = upload_op(aws, bucket, key, upload_id, arg);
    scoped(s3_send_done) struct s3_send send;

    s3_send_init(&send, "AbortMultipartUpload", "DELETE", bucket, key);
    s3_send_query(&send, "uploadId", op->upload);
    op->done.done = done;
    return s3_send_go(op, &send, s3_check_nothing, on_abort);
}

/* ---- parts ---- */

static void on_part(const struct aws_answer *answer, const struct err *err, void *arg)
{
    struct s3_op *op = arg;
    struct err room;

    err = s3_judge(op, answer, err, &room);
    if (err == NULL) {
        s3_etag(s3_answer_header(answer, "etag"), op->part.etag);
    }
    op->done.part(err == NULL ? &op->part : NULL, err, op->arg);
    s3_op_free(op);
}

struct aws_call *s3_multipart_put(struct aws *aws, const char *bucket, const struct s3_put *put,
                                  const char *upload_id, unsigned part, const void *bytes,
                                  size_t len, const char *checksum, s3_part_fn *done, void *arg)
{
    struct s3_op *op = upload_op(aws, bucket, put->key, upload_id, arg);
    scoped(s3_send_done) struct s3_send send;
    char number[16];

    snprintf(number, sizeof(number), "%u", part);
    s3_send_init(&send, "UploadPart", "PUT", bucket, put->key);
    s3_send_query(&send, "partNumber", number);
    s3_send_query(&send, "uploadId", op->upload);
    s3_send_header(&send, s3_checksum_header(put->checksum), checksum);
    send.request.body = bytes;
    send.request.body_len = len;
    op->done.part = done;
    op->conditional = true;
    op->part = (struct s3_part){.part = part, .size = len};
    if (put->checksum == S3_CHECKSUM_CRC32C) {
        snprintf(op->part.checksum, sizeof(op->part.checksum), "%s", checksum);
    }
    return s3_send_go(op, &send, s3_check_etag, on_part);
}

static void on_part_copied(const struct aws_answer *answer, const struct err *err, void *arg)
{
    struct s3_op *op = arg;
    struct err room;

    err = s3_judge(op, answer, err, &room);
    if (err == NULL) {
        s3_etag(xml_text(xml_root(op->doc), "ETag"), op->part.etag);
        snprintf(op->part.checksum, sizeof(op->part.checksum), "%s",
                 xml_text(xml_root(op->doc), "ChecksumCRC32C"));
    }
    op->done.part(err == NULL ? &op->part : NULL, err, op->arg);
    s3_op_free(op);
}

struct aws_call *s3_multipart_copy(struct aws *aws, const char *bucket, const char *key,
                                   const char *upload_id, unsigned part, const char *from_bucket,
                                   const char *from_key, const char *from_version,
                                   const char *from_etag, uint64_t offset, uint64_t len,
                                   s3_part_fn *done, void *arg)
{
    struct s3_op *op = upload_op(aws, bucket, key, upload_id, arg);
    scoped(s3_send_done) struct s3_send send;
    char number[16], range[64];

    snprintf(number, sizeof(number), "%u", part);
    snprintf(range, sizeof(range), "bytes=%" PRIu64 "-%" PRIu64, offset, offset + len - 1);
    s3_send_init(&send, "UploadPartCopy", "PUT", bucket, key);
    s3_send_query(&send, "partNumber", number);
    s3_send_query(&send, "uploadId", op->upload);
    s3_send_source(&send, from_bucket, from_key, from_version, from_etag);
    s3_send_header(&send, "x-amz-copy-source-range", range);
    send.request.in_body = true;
    send.request.idle_ms = S3_COPIES_MS;
    op->done.part = done;
    op->part = (struct s3_part){.part = part, .size = len};
    return s3_send_go_xml(op, &send, "CopyPart", s3_check_xml_etag, on_part_copied);
}

/* ---- the end ---- */

static void on_complete(const struct aws_answer *answer, const struct err *err, void *arg)
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

static void write_parts(struct strbuf *out, const struct s3_part *parts, unsigned count)
{
    strbuf_puts(out, "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
    for (unsigned i = 0; i < count; i++) {
        strbuf_printf(out, "<Part><PartNumber>%u</PartNumber><ETag>&quot;", parts[i].part);
        s3_xml_text(out, parts[i].etag);
        strbuf_puts(out, "&quot;</ETag>");
        if (parts[i].checksum[0] != '\0') {
            strbuf_puts(out, "<ChecksumCRC32C>");
            s3_xml_text(out, parts[i].checksum);
            strbuf_puts(out, "</ChecksumCRC32C>");
        }
        strbuf_puts(out, "</Part>");
    }
    strbuf_puts(out, "</CompleteMultipartUpload>");
}

struct aws_call *s3_multipart_complete(struct aws *aws, const char *bucket,
                                       const struct s3_put *put, const char *upload_id,
                                       const struct s3_part *parts, unsigned count, s3_put_fn *done,
                                       void *arg)
{
    struct s3_op *op = upload_op(aws, bucket, put->key, upload_id, arg);
    scoped(s3_send_done) struct s3_send send;

    write_parts(&op->body, parts, count);
    s3_send_init(&send, "CompleteMultipartUpload", "POST", bucket, put->key);
    s3_send_query(&send, "uploadId", op->upload);
    s3_send_header(&send, "Content-Type", "application/xml");
    s3_send_condition(&send, put);
    send.request.body = op->body.data;
    send.request.body_len = op->body.len;
    send.request.in_body = true;
    send.request.idle_ms = S3_COPIES_MS;
    op->done.put = done;
    op->conditional = true;
    return s3_send_go_xml(op, &send, "CompleteMultipartUpload", s3_check_xml_etag, on_complete);
}

/** The MD5 of the parts' MD5s, if their etags are any: not where the server makes etags of its own.
 */
static bool etag_of_parts(const struct s3_part *parts, unsigned count, char ret_etag[S3_ETAG])
{
    scoped(strbuf_done) struct strbuf sums = {0};
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned sum_len = 0;

    for (unsigned i = 0; i < count; i++) {
        long len = 0;
        unsigned char *part =
            strlen(parts[i].etag) == 32 ? OPENSSL_hexstr2buf(parts[i].etag, &len) : NULL;

        if (part == NULL) {
            return false;
        }
        strbuf_add(&sums, part, (size_t)len);
        OPENSSL_free(part);
    }
    if (EVP_Digest(strbuf_text(&sums), sums.len, sum, &sum_len, EVP_md5(), NULL) != 1) {
        return false; /* a library in FIPS mode has no MD5 */
    }
    for (unsigned i = 0; i < sum_len; i++) {
        snprintf(ret_etag + 2 * i, 3, "%02x", sum[i]);
    }
    snprintf(ret_etag + 2 * sum_len, S3_ETAG - 2 * sum_len, "-%u", count);
    return true;
}

bool s3_multipart_is(const struct s3_object *object, const struct s3_part *parts, unsigned count)
{
    char etag[S3_ETAG];
    uint64_t size = 0;

    for (unsigned i = 0; i < count; i++) {
        size += parts[i].size;
    }
    if (object->size != size) {
        return false;
    }
    if (etag_of_parts(parts, count, etag)) {
        return strcasecmp(object->etag, etag) == 0;
    }
    snprintf(etag, sizeof(etag), "-%u", count);
    return str_ends(object->etag, etag);
}

/* ---- what is there of an upload ---- */

static void ask_parts(struct s3_op *op, const char *marker);

/** A page of them, behind those of the pages before. */
static enum rc take_parts(struct s3_op *op, const struct xml_node *root, struct err *err)
{
    op->part_count = op->parts_before;
    for (const struct xml_node *node = xml_child(root, "Part"); node != NULL;
         node = xml_again(node)) {
        struct s3_part part = {0};
        uint64_t number;

        if (!str_to_u64(xml_text(node, "PartNumber"), &number) || number == 0 ||
            number > S3_PARTS_MAX || !str_to_u64(xml_text(node, "Size"), &part.size) ||
            op->part_count == S3_PARTS_MAX) {
            return err_set(err, RC_CORRUPT, "'%.200s': S3 lists a part that cannot be", op->key);
        }
        part.part = (unsigned)number;
        s3_etag(xml_text(node, "ETag"), part.etag);
        snprintf(part.checksum, sizeof(part.checksum), "%s", xml_text(node, "ChecksumCRC32C"));
        if (op->part_count == op->part_cap) {
            op->part_cap = MAX_OF(2 * op->part_cap, 64u);
            op->parts = mem_resize(op->parts, op->part_cap, sizeof(op->parts[0]));
        }
        op->parts[op->part_count++] = part;
    }
    return RC_OK;
}

static enum rc check_parts(const struct http_answer *http, void *arg, struct err *err)
{
    struct s3_op *op = arg;

    return s3_check_xml(http, op, err) == RC_OK ? take_parts(op, xml_root(op->doc), err) : err->rc;
}

static void on_parts(const struct aws_answer *answer, const struct err *err, void *arg)
{
    struct s3_op *op = arg;
    struct err room;

    err = s3_judge(op, answer, err, &room);
    if (err == NULL && strcmp(xml_text(xml_root(op->doc), "IsTruncated"), "true") == 0 &&
        xml_child(xml_root(op->doc), "Part") != NULL) {
        op->parts_before = op->part_count;
        ask_parts(op, xml_text(xml_root(op->doc), "NextPartNumberMarker"));
        return;
    }
    op->done.parts(op->parts, err == NULL ? op->part_count : 0, err, op->arg);
    s3_op_free(op);
}

static void ask_parts(struct s3_op *op, const char *marker)
{
    scoped(s3_send_done) struct s3_send send;

    s3_send_init(&send, "ListParts", "GET", op->bucket, op->key);
    s3_send_query(&send, "uploadId", op->upload);
    s3_send_query(&send, "part-number-marker", marker);
    s3_send_go_xml(op, &send, "ListParts", check_parts, on_parts);
}

void s3_multipart_parts(struct aws *aws, const char *bucket, const char *key, const char *upload_id,
                        s3_parts_fn *done, void *arg)
{
    struct s3_op *op = upload_op(aws, bucket, key, upload_id, arg);

    op->done.parts = done;
    ask_parts(op, NULL);
}
