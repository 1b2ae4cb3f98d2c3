/** @file
 * What planning and decoding a slab share.
 */
#pragma once

#include "lib/data/slab.h"

/** The chunks of a dataset and those that a plan touches. All counts are in elements or chunks. */
struct slab_grid {
    uint64_t cells[LAYOUT_RANK_MAX]; /**< Along each axis. */
    uint64_t per_layer;              /**< Chunks that differ in other axes than 0. */
    uint64_t begin, end;             /**< Indices into dataset->chunks. */
    uint64_t chunk_bytes;            /**< Decoded. */
    bool whole_rows;                 /**< A chunk holds all of each of its rows, and no more. */
};

/** For rows that lie within the dataset. */
void slab_find_grid(const struct layout_dataset *dataset, uint64_t first, uint64_t count,
                    struct slab_grid *grid);

/** RC_CORRUPT "dataset 'vil' chunk 3 (1,0,0,0): ...". */
enum rc slab_chunk_error(const struct layout_dataset *dataset, uint64_t index, struct err *err,
                         const char *fmt, ...) __attribute__((format(printf, 4, 5)));
