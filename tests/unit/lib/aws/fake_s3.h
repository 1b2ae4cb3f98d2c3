/** @file
 * In the place of lib/aws/aws.c: a small S3 in memory, whose answers a test can bend.
 *
 * Bodies are read when a call is answered, not when it is sent, so that one who lets go of his
 * bytes too early is found out.
 */
#pragma once

#include "lib/aws/aws.h"
#include "lib/run/loop.h"

#define FAKE_OBJECTS 3000
#define FAKE_UPLOADS 8

struct fake_part {
    char *bytes;
    size_t len;
    char checksum[32];
};

struct fake_object {
    char *key, *bytes;
    size_t len;
    unsigned version; /**< Its etag is "e<version>", "e<version>-<parts>" if it came in parts. */
    unsigned parts;
};

struct fake_upload {
    char *key;
    bool open, crc32c;
    struct fake_part parts[100]; /**< [0] is part 1. */
};

/** One failure to come: of the `nth` call (from 1) of the operation; 0: of each. */
struct fake_fault {
    const char *operation;
    unsigned nth, status;
    const char *code, *body; /**< `body`: NULL for none. */
    bool done_all_the_same;  /**< It was done, and only the answer lost. */
    bool hold;               /**< Never answered, but by a cancel. */
};

extern struct fake_s3 {
    struct loop *loop;
    struct fake_object objects[FAKE_OBJECTS]; /**< Ascending by key. */
    unsigned object_count, next_version;
    struct fake_upload uploads[FAKE_UPLOADS];
    unsigned upload_count;
    struct fake_fault faults[4];
    unsigned calls, under_way, peak; /**< Of all operations. */
    char log[65536];                 /**< "PutObject key", a line a call. */
    int64_t idle_ms;   /**< The least that a call by which S3 itself moves data was given. */
    bool no_delete_if; /**< 501 for a deletion's If-Match. */
    bool no_crc32c;    /**< 501 for its header. */
    unsigned list_max; /**< A page's keys; 0: 1000. */
    bool no_tokens;    /**< Continuation tokens have grown too old. */
} fake_s3;

void fake_s3_start(struct loop *loop);
void fake_s3_stop(void);
void fake_s3_put(const char *key, const char *text);
/** NULL when there is none. */
const struct fake_object *fake_s3_find(const char *key);
/** How often the operation was asked for. */
unsigned fake_s3_count(const char *operation);
