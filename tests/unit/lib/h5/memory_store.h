/** @file
 * A store of one object in memory, whose reads can be made to fail or to wait: what the tests of
 * lib/h5 read from.
 */
#pragma once

#include "lib/run/loop.h"
#include "lib/store/store.h"

struct memory_store {
    struct store store; /* first: handed out as this */
    struct loop *loop;
    const uint8_t *bytes;
    size_t len;
    const char *etag;

    enum rc fail_with; /**< Not RC_OK: what reads say, from the `fail_at`th on. */
    unsigned fail_at;
    bool hold;           /**< Reads wait until they are canceled. */
    unsigned gets;       /**< Reads asked for so far. */
    unsigned trips;      /**< Of those, reads asked for while none was under way. */
    uint64_t total;      /**< Bytes of all reads. */
    unsigned busy, peak; /**< Reads under way, and the most there were at once. */
    size_t longest;      /**< Bytes of the longest read. */
};

/** From now on as far away as a bucket, as its readers see it (store_is_near()). */
void memory_store_far(struct memory_store *memory);
void memory_store_init(struct memory_store *memory, struct loop *loop, const void *bytes,
                       size_t len);
