/** @file
 * S3's object API, an operation a function.
 *
 * Keys are any bytes without NUL that S3 accepts; listings ask for encoding-type=url and are
 * decoded. ETags are without quotes. What each answers is in aws.h; beside that:
 *
 *     RC_CORRUPT    the body is shorter or longer than asked; a listing that is no XML
 *
 * Thread:     the loop's.
 * Completion: `done` later, exactly once. aws_cancel() asks.
 * Ownership:  as in aws.h.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/aws/aws.h"

#define S3_LIST_MAX 1000
#define S3_PART_MIN (5u << 20)
#define S3_PARTS_MAX 10000
#define S3_COPY_MAX (5ull << 30) /**< Of one CopyObject, or one UploadPartCopy. */

struct s3_object {
    const char *key;
    uint64_t size;
    const char *etag;
    const char *version; /**< "" when the answer named none. */
    int64_t modified_ms;
    const char *content_type; /**< Of a head; else "". */
};

/** `next` continues the listing, "" on its last page. */
typedef void s3_list_fn(const struct s3_object *objects, unsigned count, const char *next,
                        const struct err *err, void *arg);
/** Keys that begin with `prefix` after `after` ("": from the start). With `next` not "", that page.
 */
struct aws_call *s3_list(struct aws *aws, const char *bucket, const char *prefix, const char *after,
                         const char *next, unsigned max, s3_list_fn *done, void *arg);

typedef void s3_object_fn(const struct s3_object *object, const struct err *err, void *arg);
/** `version` NULL or "": the current one. */
struct aws_call *s3_head(struct aws *aws, const char *bucket, const char *key, const char *version,
                         s3_object_fn *done, void *arg);

typedef void s3_done_fn(const struct err *err, void *arg);
/** Exactly `len` (>= 1) bytes from `offset` into `buffer`; pinned to `version` and `etag` where
 * they are given. An object that ends before is RC_CORRUPT, another etag RC_CHANGED. */
struct aws_call *s3_get(struct aws *aws, const char *bucket, const char *key, const char *version,
                        const char *etag, uint64_t offset, size_t len, void *buffer,
                        s3_done_fn *done, void *arg);

struct s3_put {
    const char *key;
    const void *bytes;
    size_t len;
    const char *content_type;     /**< NULL: application/octet-stream. */
    const char *content_encoding; /**< NULL: none. */
    const char *if_match; /**< NULL: whatever is there; "": nothing may be there; else the etag
                           *   that must be. Another is RC_CONFLICT. */
};
/** `etag` is "" on error. */
typedef void s3_put_fn(const char *etag, const char *version, const struct err *err, void *arg);
struct aws_call *s3_put(struct aws *aws, const char *bucket, const struct s3_put *put,
                        s3_put_fn *done, void *arg);
/** One that is not there is no error. */
struct aws_call *s3_delete(struct aws *aws, const char *bucket, const char *key, s3_done_fn *done,
                           void *arg);
/** At most 1,000; an error names the first key that failed. */
struct aws_call *s3_delete_many(struct aws *aws, const char *bucket, const char *const *keys,
                                unsigned count, s3_done_fn *done, void *arg);

/* ---- multipart: see s3_upload.h and s3_copy.h for whole objects */

typedef void s3_text_fn(const char *text, const struct err *err, void *arg);
struct aws_call *s3_multipart_create(struct aws *aws, const char *bucket, const struct s3_put *put,
                                     s3_text_fn *done_upload_id, void *arg);
/** `done` is given the part's etag. */
struct aws_call *s3_multipart_put(struct aws *aws, const char *bucket, const char *key,
                                  const char *upload_id, unsigned part, const void *bytes,
                                  size_t len, s3_text_fn *done, void *arg);
/** Bytes [offset, offset + len) of `from_bucket`/`from_key`, which must still have `from_etag`. */
struct aws_call *s3_multipart_copy(struct aws *aws, const char *bucket, const char *key,
                                   const char *upload_id, unsigned part, const char *from_bucket,
                                   const char *from_key, const char *from_version,
                                   const char *from_etag, uint64_t offset, uint64_t len,
                                   s3_text_fn *done, void *arg);
/** `etags[i]` is of part i + 1. */
struct aws_call *s3_multipart_complete(struct aws *aws, const char *bucket,
                                       const struct s3_put *put, const char *upload_id,
                                       const char *const *etags, unsigned count, s3_put_fn *done,
                                       void *arg);
struct aws_call *s3_multipart_abort(struct aws *aws, const char *bucket, const char *key,
                                    const char *upload_id, s3_done_fn *done, void *arg);
struct s3_part {
    unsigned part;
    const char *etag;
    uint64_t size;
};
typedef void s3_parts_fn(const struct s3_part *parts, unsigned count, const struct err *err,
                         void *arg);
/** All parts that an upload has, in order, over all pages. */
struct aws_call *s3_multipart_parts(struct aws *aws, const char *bucket, const char *key,
                                    const char *upload_id, s3_parts_fn *done, void *arg);
/** The newest unfinished upload of exactly `key`, "" if there is none. */
struct aws_call *s3_multipart_find(struct aws *aws, const char *bucket, const char *key,
                                   s3_text_fn *done_upload_id, void *arg);
struct aws_call *s3_copy(struct aws *aws, const char *bucket, const struct s3_put *put,
                         const char *from_bucket, const char *from_key, const char *from_version,
                         const char *from_etag, s3_put_fn *done, void *arg);
