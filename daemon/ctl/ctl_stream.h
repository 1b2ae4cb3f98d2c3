/** @file
 * One object of S3's to a local file, or through us to a bucket that cannot fetch it by itself:
 * part by part, a few parts at a time, so that memory is bounded whatever the object's size. Every
 * read is pinned to the object's etag.
 *
 * It is resumable. A local file is written in order under a hidden name of its own (which depends
 * on the object and its etag) and appears under its name when it is whole and on disk; what an
 * interrupted run has written is not fetched again. A bucket keeps the parts that it was sent, if
 * there is a record of them.
 *
 * Thread:     the loop's.
 * Completion: `done` later, exactly once.
 * Ownership:  strings are copied.
 */
#pragma once

#include "lib/aws/s3.h"

#define CTL_STREAM_PART (8u << 20)
#define CTL_STREAM_SLOTS 4

struct ctl_stream_options {
    struct loop *loop;
    struct work *work;
    struct aws *from;
    const char *from_bucket, *from_key, *from_etag;
    uint64_t size;
    const char *path; /**< The file; or NULL, and: */
    struct aws *to;
    const char *bucket, *key;
    const struct s3_resume *resume; /**< Of an upload of this object in CTL_STREAM_PARTs; borrowed
                                     *   until `done`. NULL: what fails is aborted. */
    void (*progress)(uint64_t bytes, void *arg); /**< What the target has. */
};

typedef void ctl_stream_fn(const struct err *err, void *arg);
void ctl_stream(const struct ctl_stream_options *options, ctl_stream_fn *done, void *arg);
