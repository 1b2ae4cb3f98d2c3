/** @file
 * What the files of the store on S3 share: store_s3.c (all but what follows), store_s3_remove.c.
 *
 * Thread:     the loop's.
 */
#pragma once

#include "lib/aws/s3.h"
#include "lib/base/str.h"
#include "lib/store/store.h"

struct put_batch;

struct store_s3 {
    struct store base;
    struct work *work;
    struct aws *aws;
    char *prefix;              /**< "" or with a slash at its end. */
    enum s3_checksum checksum; /**< The one that the server takes. */

    /* Where the last page of a listing ended. */
    char *list_prefix, *list_after, *list_next;

    /* The window of puts */
    unsigned putting;
    uint64_t putting_bytes;
    struct put_batch *first, **last; /**< Batches that have not begun all of their puts. */
};

static inline struct store_s3 *store_s3_of(struct store *base)
{
    return (struct store_s3 *)base;
}

static inline const char *store_s3_bucket_of(const struct store_s3 *store)
{
    return store->base.uri->bucket;
}

static inline char *store_s3_full_key(const struct store_s3 *store, const char *key)
{
    return str_printf("%s%s", store->prefix, key);
}

/** A write that the bucket refuses whatever its key says nothing about the key: the same write will
 * do when the bucket, or the policy, is mended. What must be there and is not is another's doing.
 */
const struct err *store_s3_refused(const struct err *err, bool must_be_there, struct err *room);

/* ---- store_s3_remove.c: as store.h has them */

void store_s3_remove(struct store *base, const char *const *keys, unsigned count,
                     store_done_fn *done, void *arg);
void store_s3_remove_if(struct store *base, const char *key, const char *etag, int64_t within_ms,
                        store_done_fn *done, void *arg);
