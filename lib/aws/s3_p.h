/** @file
 * What the files of S3's API share: one request under way, and how its parts are written and read.
 *
 * Thread:     the loop's, but for what says that it runs on a worker.
 */
#pragma once

#include "lib/aws/s3.h"
#include "lib/aws/xml.h"
#include "lib/base/arena.h"
#include "lib/base/str.h"

#define S3_PAIRS 12
/** Without a byte while S3 itself moves data, which may be gigabytes to another region: who does
 * not wait for the end has all of it moved anew. */
#define S3_COPIES_MS 600000
#define S3_LIST_BODY ((size_t)8 << 20) /**< A thousand keys of 1,024 bytes, each of them %XX. */

/** A request while it is put together: aws_send() copies all but the body. */
struct s3_send {
    struct aws_request request;
    struct sigv4_pair query[S3_PAIRS], headers[S3_PAIRS];
    struct strbuf path, texts[3];
};

void s3_send_init(struct s3_send *send, const char *operation, const char *method,
                  const char *bucket, const char *key);
void s3_send_done(struct s3_send *send);
static inline void s3_send_done_ptr(struct s3_send *send)
{
    s3_send_done(send);
}
/** Name and value are borrowed until s3_send_go(). An empty or NULL value is left out. */
void s3_send_query(struct s3_send *send, const char *name, const char *value);
/** One without a value ("uploads"). */
void s3_send_flag(struct s3_send *send, const char *name);
void s3_send_header(struct s3_send *send, const char *name, const char *value);
/** `etag` in quotes; `slot` is one of `texts`. */
void s3_send_etag(struct s3_send *send, unsigned slot, const char *name, const char *etag);
/** If-Match or If-None-Match, as `put->if_match` says; takes slot 0. */
void s3_send_condition(struct s3_send *send, const struct s3_put *put);
/** Content type and encoding. */
void s3_send_content(struct s3_send *send, const struct s3_put *put);
/** x-amz-copy-source and its condition; takes slots 1 and 2. */
void s3_send_source(struct s3_send *send, const char *bucket, const char *key, const char *version,
                    const char *etag);

/** One under way. */
struct s3_op {
    struct aws *aws;
    union {
        s3_list_fn *list;
        s3_object_fn *object;
        s3_done_fn *done;
        s3_put_fn *put;
        s3_text_fn *text;
        s3_part_fn *part;
        s3_parts_fn *parts;
    } done;
    void *arg;
    char *bucket, *key, *upload;
    uint64_t offset;
    size_t len;
    bool conditional;          /**< A put: then 412 is a conflict, else it is the source's. */
    char *etag;                /**< Of a get: that it is pinned to; NULL: to none. */
    const char *root;          /**< What a good answer's XML is called, */
    struct xml_doc *doc;       /**< and the last good answer. */
    struct s3_object *objects; /**< Of a page, in `arena`. */
    unsigned object_count;
    struct arena *arena;
    struct s3_part part;
    struct strbuf body; /**< What is sent. */
    struct s3_part *parts;
    unsigned part_count, part_cap;
    unsigned parts_before; /**< Of the pages before. */
};

struct s3_op *s3_op_new(struct aws *aws, const char *bucket, const char *key, void *arg);
void s3_op_free(struct s3_op *op);
/** Of an answer with a 2xx: `check` in aws.h, `arg` being the op. */
typedef enum rc s3_check_fn(const struct http_answer *http, void *arg, struct err *err);
struct aws_call *s3_send_go(struct s3_op *op, struct s3_send *send, s3_check_fn *check,
                            aws_done_fn *done);
/** The answer is XML whose root is called `root`, and is in op->doc then; `check` NULL: that is
 * all. Else it begins with s3_check_xml(). `root` is borrowed. */
struct aws_call *s3_send_go_xml(struct s3_op *op, struct s3_send *send, const char *root,
                                s3_check_fn *check, aws_done_fn *done);
enum rc s3_check_xml(const struct http_answer *http, void *arg, struct err *err);
/** The same, and it names the etag of what is there now. */
enum rc s3_check_xml_etag(const struct http_answer *http, void *arg, struct err *err);
/** The answer has an ETag. */
enum rc s3_check_etag(const struct http_answer *http, void *arg, struct err *err);
/** There is nothing to say, and nobody else says anything. */
enum rc s3_check_nothing(const struct http_answer *http, void *arg, struct err *err);

/** The error of an answer, or NULL: `err` made more exact by what S3 says, in `room`. */
const struct err *s3_judge(const struct s3_op *op, const struct aws_answer *answer,
                           const struct err *err, struct err *room);
/** "" when there is none. */
const char *s3_answer_header(const struct aws_answer *answer, const char *name);
/** Without its quotes, cut to what we keep. */
void s3_etag(const char *text, char ret_etag[S3_ETAG]);
/** "2009-10-12T17:50:30.000Z", and "Mon, 12 Oct 2009 17:50:30 GMT"; 0 for anything else. */
int64_t s3_time_ms(const char *text);
/** Of encoding-type=url: '+' and %XX; a NUL becomes the two bytes C0 80, which no key may have. */
char *s3_decode(struct arena *arena, const char *text);
/** As character data, also what XML can only refer to. */
void s3_xml_text(struct strbuf *out, const char *text);
