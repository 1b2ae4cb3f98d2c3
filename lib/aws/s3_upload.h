/** @file
 * A whole object, from memory or from a local file, to S3: by one put, or in parts of which a few
 * are under way at a time. Files are read on the FILE lane, a part at a time, so that memory is
 * bounded by the parts under way; parts grow so that S3_PARTS_MAX of them suffice. When it fails,
 * the parts that were sent are removed again, unless `resume` keeps them for a later run.
 *
 *     RC_CHANGED    the file was written to meanwhile
 *
 * beside what s3.h says.
 *
 * Thread:     the loop's.
 * Completion: `done` later, exactly once. s3_upload_cancel() asks; `done` then says RC_CANCELED.
 * Ownership:  strings are copied; bytes in memory are borrowed until `done`.
 */
#pragma once

#include "lib/aws/s3.h"

#define S3_UPLOAD_SINGLE (16u << 20) /**< Up to this by one put. */
#define S3_UPLOAD_PART (8u << 20)

struct s3_upload;

struct s3_upload_options {
    const char *bucket;
    struct s3_put put;   /**< With `bytes`, or: */
    const char *path;    /**< a local file. */
    uint64_t single_max; /**< 0: S3_UPLOAD_SINGLE. */
    uint64_t part_bytes; /**< 0: S3_UPLOAD_PART. At least S3_PART_MIN, or S3 refuses it. */
    const struct s3_resume *resume; /**< Of what goes in parts those whose checksum is right are
                                     *   not sent again. NULL: what fails is aborted. */
    void (*progress)(uint64_t bytes, void *arg); /**< Bytes that S3 has; may be NULL. */
};

struct s3_upload *s3_upload(struct aws *aws, struct loop *loop, struct work *work,
                            const struct s3_upload_options *options, s3_put_fn *done, void *arg);
void s3_upload_cancel(struct s3_upload *upload);
