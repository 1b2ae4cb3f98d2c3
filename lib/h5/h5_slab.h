/** @file
 * Rows of a dataset from a store to memory: plan, fetch by ranges, decode; or, where workers cannot
 * decode, by the helper. One way in for extraction, `subset` and `render`.
 *
 *     h5_slab_open() -> budget for h5_slab_bytes() -> h5_slab_fetch() -> on a worker:
 * h5_slab_decode()
 *
 * Rows are in C order, or, where h5_slab_by_frames() says so, in frames: [row][T][H][W].
 *
 * Thread:     the loop's, but for h5_slab_decode(), which runs on a worker that owns the slab then.
 * Completion: `done` later, exactly once.
 * Ownership:  a slab borrows the object's strings, the layout and its dataset until it is freed.
 */
#pragma once

#include "lib/h5/h5_helper.h"

struct h5_slab;

enum rc h5_slab_open(struct h5_helper *helper, const struct h5_object *object,
                     const struct layout *layout, const struct layout_dataset *dataset,
                     uint64_t first, uint64_t count, struct h5_slab **ret_slab, struct err *err);
/** Requires: nothing in flight. */
void h5_slab_free(struct h5_slab *slab);
SCOPED_FN(struct h5_slab, h5_slab_free)

/** Decode rows of a raster (N, H, W, T) to frames. After h5_slab_open(). Requires: rank 4, elements
 * of 1, 2, 4 or 8 bytes. */
void h5_slab_by_frames(struct h5_slab *slab);

/** Whether row `at` is fetched together with rows `first` to `last` before it: they share a chunk,
 * or lie side by side, and are not too many for one slab. */
bool h5_rows_together(const struct layout_dataset *dataset, uint64_t first, uint64_t last,
                      uint64_t at);

/** Memory it will hold at its peak, fetched, scratch and decoded: ask the budget for this. */
uint64_t h5_slab_bytes(const struct h5_slab *slab);
/** Of these, what it still holds once it is decoded, if nothing was lent to fetch into. */
uint64_t h5_slab_decoded_bytes(const struct h5_slab *slab);
/** Bytes it will ask of the store, and the least that could do. */
uint64_t h5_slab_fetch_bytes(const struct h5_slab *slab);
uint64_t h5_slab_needed_bytes(const struct h5_slab *slab);
/** Of h5_slab_fetch_bytes(), those that have arrived. The helper does not tell until it is done. */
uint64_t h5_slab_arrived_bytes(const struct h5_slab *slab);

/** Memory that is kept from slab to slab: new pages cost more than what is written to them. */
struct h5_buffer {
    uint8_t *bytes;
    size_t cap;
};

void h5_buffer_free(struct h5_buffer *buffer);
/** What is fetched goes there, and stays the lender's to free once the slab is. Before fetching. */
void h5_slab_lend(struct h5_slab *slab, struct h5_buffer *fetched);
/** The same for decoding; either may be NULL. Before h5_slab_decode(). */
void h5_slab_lend_rows(struct h5_slab *slab, struct h5_buffer *rows, struct h5_buffer *scratch);

void h5_slab_fetch(struct h5_slab *slab, store_done_fn *done, void *arg);
void h5_slab_cancel(struct h5_slab *slab);
/** Decoded rows in native byte order, owned by the slab or in what was lent. Frees what was
 * fetched. The rows may be written over. */
enum rc h5_slab_decode(struct h5_slab *slab, uint8_t **ret_rows, struct err *err);
