/** @file
 * What an object is, from its name and its first bytes; what an HDF5 file is, from its layout; and
 * which partition a key says that it belongs to. Pure.
 *
 * Content decides before the name. A name that promises what the content is not ("x.h5" without
 * HDF5's signature, "x.csv" full of binary data) is an error that says so, since that is a file cut
 * short or damaged, not one that does not concern us.
 *
 * Thread:     any.
 */
#pragma once

#include <stdbool.h>

#include "lib/base/rc.h"
#include "lib/base/scope.h"
#include "lib/data/layout.h"
#include "lib/sevir/naming.h"

/** How many first bytes classify() wants to see, if the object has as many. */
#define CLASSIFY_HEAD ((size_t)64 << 10)

enum classify { CLASSIFY_HDF5, CLASSIFY_CSV, CLASSIFY_OTHER };

/** `whole` tells that `head` is all there is. RC_CORRUPT or RC_INVALID where the name lies. */
enum rc classify(const char *key, const void *head, size_t len, bool whole,
                 enum classify *ret_class, struct err *err);

/** Bits of the SEVIR types (1u << enum sevir_type) that the layout holds: raster types by a dataset
 * (N,H,W,T) of that name, lght by datasets (n,5) named after events. 0: not SEVIR's. */
unsigned classify_layout(const struct layout *layout);

#define CLASSIFY_KEYS_MAX 8

/** Partition keys and values of a key; it owns them. */
struct classify_partition {
    unsigned count;
    char *names[CLASSIFY_KEYS_MAX], *values[CLASSIFY_KEYS_MAX];
    /** Length of the key's part in front: the table's folder, without its slash. */
    size_t folder_len;
    size_t partition_len; /**< The same with the partition's own folders. */
};

/** From Hive-style parts ("year=2019/month=01"), or, for SEVIR's files, the year in the path or in
 * the file's name. `count` is 0 when there is none. */
void classify_partition(const char *key, bool sevir, struct classify_partition *ret_partition);
void classify_partition_done(struct classify_partition *partition);
static inline void classify_partition_done_ptr(struct classify_partition *partition)
{
    classify_partition_done(partition);
}
/** "year=2019/month=01"; the caller frees. */
char *classify_partition_values(const struct classify_partition *partition);
