/** @file
 * S3's object API, an operation a function.
 *
 * Keys are any bytes without NUL that S3 accepts; listings ask for encoding-type=url and are
 * decoded. ETags are without quotes. What each answers is in aws.h; beside that:
 *
 *     RC_CORRUPT      the body is shorter or longer than asked; a listing that is no XML
 *     RC_CHANGED      412 of a copy's source
 *     RC_UNSUPPORTED  501: the server has no such operation, or refuses a header (a checksum's)
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
#include "lib/aws/s3_checksum.h"

#define S3_LIST_MAX 1000
#define S3_ETAG 128 /**< Longest etag we keep, with its NUL. */
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
    enum s3_checksum checksum;
};
/** `etag` is "" on error. */
typedef void s3_put_fn(const char *etag, const char *version, const struct err *err, void *arg);
struct aws_call *s3_put(struct aws *aws, const char *bucket, const struct s3_put *put,
                        s3_put_fn *done, void *arg);
/** One that is not there is no error. */
struct aws_call *s3_delete(struct aws *aws, const char *bucket, const char *key, s3_done_fn *done,
                           void *arg);
/** If it still has that etag: RC_CONFLICT if not, RC_UNSUPPORTED where the server refuses to look.
 * One attempt, of at most `total_ms`: what comes late may meet another object. */
struct aws_call *s3_delete_if(struct aws *aws, const char *bucket, const char *key,
                              const char *etag, int64_t total_ms, s3_done_fn *done, void *arg);
/** Whether XML can say the key, as s3_delete_many() must: most control characters have no form. */
bool s3_key_fits_xml(const char *key);
/** At most 1,000; an error names the first key that failed. */
struct aws_call *s3_delete_many(struct aws *aws, const char *bucket, const char *const *keys,
                                unsigned count, s3_done_fn *done, void *arg);

/* ---- multipart: see s3_upload.h and s3_copy.h for whole objects */

struct s3_part {
    unsigned part; /**< From 1. */
    char etag[S3_ETAG];
    char checksum[S3_CHECKSUM]; /**< CRC-32C in base64, "" if the upload has none. */
    uint64_t size;
};

/** How an upload may be gone on with in a later run. S3 does not tell what an unfinished upload is
 * of, nor do its parts: who begins it keeps that on record, and nobody else's is looked at. */
struct s3_resume {
    const char *upload_id; /**< On record from an earlier run; NULL: none. */
    bool fits;             /**< It is of these very bytes, in such parts; else it is aborted. */
    /** Before its first part: this upload is to be on record, instead of the one before. False: it
     * could not be, and is aborted should it fail. */
    bool (*begun)(const char *upload_id, void *arg);
    /** The upload is no more: completed, or aborted. Also of one that is not on record. */
    void (*ended)(void *arg);
    void *arg;
};

typedef void s3_text_fn(const char *text, const struct err *err, void *arg);
struct aws_call *s3_multipart_create(struct aws *aws, const char *bucket, const struct s3_put *put,
                                     s3_text_fn *done_upload_id, void *arg);
/** `part` is NULL on error. */
typedef void s3_part_fn(const struct s3_part *part, const struct err *err, void *arg);
/** `checksum`: of the bytes by `put->checksum` (s3_checksum(), on a worker). */
struct aws_call *s3_multipart_put(struct aws *aws, const char *bucket, const struct s3_put *put,
                                  const char *upload_id, unsigned part, const void *bytes,
                                  size_t len, const char *checksum, s3_part_fn *done, void *arg);
/** Bytes [offset, offset + len) of `from_bucket`/`from_key`, which must still have `from_etag`
 * (RC_CHANGED). */
struct aws_call *s3_multipart_copy(struct aws *aws, const char *bucket, const char *key,
                                   const char *upload_id, unsigned part, const char *from_bucket,
                                   const char *from_key, const char *from_version,
                                   const char *from_etag, uint64_t offset, uint64_t len,
                                   s3_part_fn *done, void *arg);
/** RC_NOT_FOUND when the upload is not there: aborted, or completed by an attempt whose answer was
 * lost. */
struct aws_call *s3_multipart_complete(struct aws *aws, const char *bucket,
                                       const struct s3_put *put, const char *upload_id,
                                       const struct s3_part *parts, unsigned count, s3_put_fn *done,
                                       void *arg);
/** Whether `object`, as a head shows it after a completion whose answer was lost, is what these
 * parts make: of their size, and with the etag that S3 gives to such parts. */
bool s3_multipart_is(const struct s3_object *object, const struct s3_part *parts, unsigned count);
/** An error of a completion that leaves open whether it was done: look, before it is believed. */
static inline bool s3_multipart_is_open(const struct err *err)
{
    return err != NULL &&
           (err->rc == RC_NOT_FOUND || err->rc == RC_NETWORK || err->rc == RC_TIMEOUT);
}
/** An error of what is asked of an upload on record that time will not mend: it is gone, or whoever
 * asks may not, or cannot there. A new one can still be begun. */
static inline bool s3_multipart_is_lost(const struct err *err)
{
    return err != NULL && (err->rc == RC_NOT_FOUND || err->rc == RC_DENIED ||
                           err->rc == RC_UNSUPPORTED || err->rc == RC_INVALID);
}
struct aws_call *s3_multipart_abort(struct aws *aws, const char *bucket, const char *key,
                                    const char *upload_id, s3_done_fn *done, void *arg);
typedef void s3_parts_fn(const struct s3_part *parts, unsigned count, const struct err *err,
                         void *arg);
/** All parts that an upload has, in order, over all pages; so it cannot be canceled. */
void s3_multipart_parts(struct aws *aws, const char *bucket, const char *key, const char *upload_id,
                        s3_parts_fn *done, void *arg);
/** One CopyObject, at most S3_COPY_MAX bytes; RC_CHANGED when the source is another one now. */
struct aws_call *s3_copy(struct aws *aws, const char *bucket, const struct s3_put *put,
                         const char *from_bucket, const char *from_key, const char *from_version,
                         const char *from_etag, s3_put_fn *done, void *arg);
