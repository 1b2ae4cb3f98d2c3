/** @file
 * One dataset: what the layout says of it, and its rows decoded by libhdf5.
 *
 * Thread:     the helper's only one.
 */
#pragma once

#include <hdf5.h>

#include "lib/data/layout.h"

/** All but the name. A rank beyond LAYOUT_RANK_MAX or more filters than LAYOUT_FILTERS_MAX is
 * RC_UNSUPPORTED. `*chunk_budget` is what h5_chunks_read() may still take. */
enum rc h5_dataset_describe(hid_t id, struct layout_dataset *ret_dataset, uint64_t *chunk_budget,
                            struct err *err);
/** Send rows [first, first + count) of the dataset `name`, `bytes` in all, as ROWS messages and the
 * empty one that ends them. An error may come when some were sent already; it is then the answer.
 */
enum rc h5_dataset_send_rows(hid_t file, const char *name, uint64_t first, uint64_t count,
                             uint64_t bytes, uint64_t memory_bytes, struct err *err);
