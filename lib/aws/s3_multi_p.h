/** @file
 * What uploads and copies share: one object in parts, a few of them under way at a time.
 *
 * s3_multi_run() in s3_multi.c tells the story. The user (s3_upload, s3_copy) has a struct that
 * begins with this one, and moves the parts.
 *
 * Thread:     the loop's, but for what says that it runs on a worker.
 */
#pragma once

#include "lib/aws/s3.h"
#include "lib/run/loop.h"

#define S3_MULTI_WIDTH 16

struct s3_multi;

/** A part on its way. */
struct s3_slot {
    struct s3_multi *multi;
    bool busy;
    unsigned part; /**< From 1. */
    uint64_t offset, len;
    struct aws_call *call; /**< NULL: something else is done with it. */
    void *buffer;          /**< The user's. */
    char checksum[S3_CHECKSUM];
    bool there; /**< The server has such a part already. */
    struct err err;
};

struct s3_multi {
    struct aws *aws;
    struct loop *loop;
    char *bucket;
    struct s3_put put; /**< Its strings are ours. */
    uint64_t size, part_bytes;
    unsigned count, width;
    struct s3_resume resume; /**< Its string is ours. */
    bool kept;               /**< The upload is on record: should this fail, it stays. */

    /** Move it; s3_multi_part_done() later, exactly once. */
    void (*move)(struct s3_slot *slot);
    /** All parts are there: look once more at the source, then s3_multi_checked(). May be NULL. */
    void (*check)(struct s3_multi *multi);
    /** The end: calls `done`, frees all. */
    void (*end)(struct s3_multi *multi, const char *etag, const char *version);
    void (*progress)(uint64_t bytes, void *arg);
    s3_put_fn *done;
    void *arg;

    enum s3_multi_step {
        S3_MULTI_LIST,
        S3_MULTI_DROP,
        S3_MULTI_CREATE,
        S3_MULTI_MOVE,
        S3_MULTI_CHECK,
        S3_MULTI_COMPLETE,
        S3_MULTI_CONFIRM,
        S3_MULTI_ABORT,
        S3_MULTI_END
    } step;
    struct err err; /**< Why it ended; rc is RC_OK while all is well. */
    bool canceled;
    struct aws_call *call; /**< Of a step; NULL: none that could be canceled. */
    char *upload_id;
    struct s3_part *parts; /**< `count` of them; `part` is 0 of one that is not there. */
    unsigned next, in_flight;
    uint64_t moved;
    char etag[S3_ETAG], version[S3_ETAG];
    struct s3_slot slots[S3_MULTI_WIDTH];
};

/** Copies what `put` points to, but for its bytes, and what `resume` does (NULL: what fails is
 * aborted). */
void s3_multi_init(struct s3_multi *multi, struct aws *aws, struct loop *loop, const char *bucket,
                   const struct s3_put *put, const struct s3_resume *resume);
void s3_multi_done(struct s3_multi *multi);
/** How large its parts are: `wanted`, or more, so that there are at most S3_PARTS_MAX of them. */
void s3_multi_divide(struct s3_multi *multi, uint64_t size, uint64_t wanted);
void s3_multi_start(struct s3_multi *multi);
/** `part` is NULL on error. */
void s3_multi_part_done(struct s3_slot *slot, const struct s3_part *part, const struct err *err);
void s3_multi_checked(struct s3_multi *multi, const struct err *err);
void s3_multi_cancel(struct s3_multi *multi);
