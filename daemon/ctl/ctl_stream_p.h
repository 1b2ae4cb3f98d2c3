/** @file
 * A stream from inside: ctl_stream.c moves parts, ctl_stream_file.c and ctl_stream_s3.c are the two
 * ends they can go to.
 *
 * Thread:     one.
 */
#pragma once

#include "daemon/ctl/ctl_stream.h"

struct ctl_stream;

struct ctl_stream_slot {
    struct ctl_stream *stream;
    enum { SLOT_FREE, SLOT_FETCHING, SLOT_FETCHED, SLOT_STORING } state;
    unsigned part; /**< From 0. */
    uint64_t offset;
    size_t len;
    uint8_t *bytes;
    char checksum[S3_CHECKSUM];
    struct err err; /**< Of a worker. */
};

/** Where the parts go. Each function goes on with ctl_stream_opened(), ctl_stream_stored() or
 * ctl_stream_ended(), later or at once. */
struct ctl_stream_target {
    void (*open)(struct ctl_stream *);
    /** Whether it has that part already. */
    bool (*has)(const struct ctl_stream *, unsigned part, size_t len);
    /** Whether it takes this part now; one that it does not take is offered again. */
    bool (*takes)(const struct ctl_stream *, const struct ctl_stream_slot *);
    void (*store)(struct ctl_stream *, struct ctl_stream_slot *);
    void (*close)(struct ctl_stream *);
    /** It has failed, and nothing is under way any more. */
    void (*give_up)(struct ctl_stream *);
};

struct ctl_stream {
    struct loop *loop;
    struct work *work;
    struct aws *from, *to;
    char *from_bucket, *from_key, *from_etag, *path, *bucket, *key;
    uint64_t size, part_bytes, stored_bytes;
    void (*progress)(uint64_t bytes, void *arg);
    ctl_stream_fn *done;
    void *arg;

    const struct ctl_stream_target *target;
    unsigned parts, next; /**< `next`: the first that was not begun. */
    unsigned busy;        /**< Slots in use. */
    struct ctl_stream_slot slots[CTL_STREAM_SLOTS];
    struct err err; /**< The first failure; rc RC_OK while there is none. */

    /* ctl_stream_file.c */
    char *part_path;
    int fd;
    uint64_t written; /**< In order. */
    bool writing;

    /* ctl_stream_s3.c */
    const struct s3_resume *resume; /**< NULL: none. */
    char *upload_id;
    bool kept;            /**< It is on record, and stays if this fails. */
    struct s3_part *sent; /**< `size` 0: not yet. */
};

extern const struct ctl_stream_target ctl_stream_file, ctl_stream_s3;

/** `err` NULL: parts may come. */
void ctl_stream_opened(struct ctl_stream *stream, const struct err *err);
void ctl_stream_stored(struct ctl_stream_slot *slot, const struct err *err);
/** The target is whole, or the stream has failed. Frees it. */
void ctl_stream_ended(struct ctl_stream *stream, const struct err *err);
