/** @file
 * A slab: rows [first, first + count) of a dataset along axis 0, planned as byte ranges and decoded
 * from them. Pure: bytes come from the caller.
 *
 *     slab_plan() -> fetch plan->ranges into one buffer -> slab_decode()
 *
 * Ranges ascend, do not overlap, and are coalesced over gaps of up to `max_gap` bytes. A chunk that
 * several rows share appears once, as do chunks that a damaged file lets overlap. Filters undone
 * here: deflate (libdeflate), shuffle, fletcher32, each only where the chunk's mask says it was
 * applied.
 *
 * Rows of a raster (N, H, W, T) may be decoded to frames, [row][T][H][W], straight from its chunks:
 * whoever wants frames is spared the way over C order.
 *
 * Thread:     any. slab_decode() runs on workers.
 * Ownership:  a plan borrows the dataset (and so the layout).
 */
#pragma once

#include "lib/data/layout.h"

struct slab_range {
    uint64_t offset; /**< In the file. */
    uint64_t len;
    uint64_t at; /**< In the fetch buffer. */
};

struct slab_plan {
    const struct layout_dataset *dataset;
    uint64_t first, count;
    struct slab_range *ranges;
    size_t range_count;
    uint64_t fetch_bytes;   /**< Size of the fetch buffer. */
    uint64_t needed_bytes;  /**< Stored bytes that belong to the rows: what could not be less. */
    uint64_t decoded_bytes; /**< count rows, decoded. */
    uint64_t scratch_bytes; /**< What slab_decode() wants as scratch. */
    bool by_frames;         /**< Decode to [row][T][H][W]. */
    bool all_written;       /**< No chunk of the rows is left to the fill value. */
};

/** RC_UNSUPPORTED as layout_direct(); RC_CORRUPT for addresses beyond the file's end, naming
 * dataset and chunk; RC_INVALID for rows out of range. */
enum rc slab_plan(const struct layout_dataset *dataset, uint64_t file_size, uint64_t first,
                  uint64_t count, uint64_t max_gap, struct slab_plan **ret_plan, struct err *err);
void slab_plan_free(struct slab_plan *plan);
SCOPED_FN(struct slab_plan, slab_plan_free)

/** Decode to frames instead of C order. Before scratch_bytes are taken. Requires: rank 4, elements
 * of 1, 2, 4 or 8 bytes. */
void slab_by_frames(struct slab_plan *plan);

/** Whether rows are made of pieces, smaller than a row, that cost as little to put together as
 * frames as they do in C order. False for what slab_plan() or slab_by_frames() would not take. */
bool slab_prefers_frames(const struct layout_dataset *dataset);

/** How many neighbouring rows share their chunks, and so are best read together: 1 when contiguous.
 */
uint64_t slab_group(const struct layout_dataset *dataset);

/** Whether what is fetched already is the rows (contiguous, written, native byte order, C order):
 * then slab_decode() would only copy, and may be left out. */
bool slab_is_verbatim(const struct slab_plan *plan);

/** Rows, in native byte order, into `out` (decoded_bytes). `scratch` holds scratch_bytes.
 * RC_CORRUPT names dataset and chunk: "dataset 'vil' chunk 3 (1,0,0,0): ...". */
enum rc slab_decode(const struct slab_plan *plan, const uint8_t *fetched, uint8_t *out,
                    uint8_t *scratch, struct err *err);
/** Rows of such a dataset, as slab_by_frames() takes it, from C order to frames. */
void slab_turn_rows(const struct layout_dataset *dataset, uint64_t count, const uint8_t *rows,
                    uint8_t *out);
