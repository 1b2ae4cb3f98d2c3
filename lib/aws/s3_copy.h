/** @file
 * A whole object from S3 to S3 without its bytes passing through us: by one CopyObject, or, above
 * what that takes, in parts of which several are under way at a time. Every request is pinned to
 * the source's etag. The target's access is used for both ends. When it fails, the parts are
 * removed again, unless `resume` keeps them for a later run.
 *
 * Thread:     the loop's.
 * Completion: `done` later, exactly once. s3_copying_cancel() asks; `done` then says RC_CANCELED.
 * Ownership:  strings are copied.
 */
#pragma once

#include "lib/aws/s3.h"

#define S3_COPY_PART ((uint64_t)128 << 20)

struct s3_copying;

struct s3_copy_options {
    const char *bucket;
    struct s3_put put; /**< Key, condition; content type and encoding where it goes in parts. */
    const char *from_bucket, *from_key, *from_version, *from_etag;
    uint64_t size;                  /**< Of the source. */
    uint64_t single_max;            /**< Up to this by one request; 0: S3_COPY_MAX. */
    uint64_t part_bytes;            /**< 0: S3_COPY_PART. */
    const struct s3_resume *resume; /**< For what goes in parts; NULL: what fails is aborted. */
    void (*progress)(uint64_t bytes, void *arg); /**< May be NULL. */
};

struct s3_copying *s3_copying(struct aws *aws, struct loop *loop,
                              const struct s3_copy_options *options, s3_put_fn *done, void *arg);
void s3_copying_cancel(struct s3_copying *copying);
