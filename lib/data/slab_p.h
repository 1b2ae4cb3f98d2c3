/** @file
 * What planning and decoding a slab share.
 */
#pragma once

#include <string.h>

#include "lib/data/slab.h"

/** The chunks of a dataset and those that a plan touches. All counts are in elements or chunks. */
struct slab_grid {
    uint64_t cells[LAYOUT_RANK_MAX]; /**< Along each axis. */
    uint64_t per_layer;              /**< Chunks that differ in other axes than 0. */
    uint64_t begin, end;             /**< Indices into dataset->chunks. */
    uint64_t chunk_bytes;            /**< Decoded. */
    bool whole_rows;                 /**< A chunk holds all of each of its rows, and no more. */
    bool whole_frames;               /**< It holds all of each of its frames, and no more. */
};

/** For rows that lie within the dataset. */
void slab_find_grid(const struct layout_dataset *dataset, uint64_t first, uint64_t count,
                    struct slab_grid *grid);

/** RC_CORRUPT "dataset 'vil' chunk 3 (1,0,0,0): ...". */
enum rc slab_chunk_error(const struct layout_dataset *dataset, uint64_t index, struct err *err,
                         const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/** Whether each chunk is one frame, of one row or of several. */
static inline bool slab_is_frame(const struct layout_dataset *dataset, const struct slab_grid *grid)
{
    return grid->whole_frames && dataset->chunk_dims[3] == 1;
}

/** The chunk whose turn it is when the `i`th is decoded: those that share lines of frames follow
 * each other, so that the lines stay in the cache until they are whole. */
static inline uint64_t slab_frames_turn(const struct slab_grid *grid, uint64_t i)
{
    const uint64_t columns = grid->cells[2], depth = grid->cells[3], k = i % (columns * depth);

    return i - k + k % columns * depth + k / columns;
}

/** Where a chunk that is one frame of one row has to be decoded to in [row][T][H][W]; NULL for
 * others, which are decoded elsewhere and then put there. */
uint8_t *slab_frame_of(const struct slab_plan *plan, const struct slab_grid *grid, uint64_t index,
                       uint8_t *out);
/** The part of a chunk that lies in the plan's rows, into [row][T][H][W]. `turned` has room for
 * slab_turned_bytes(). */
void slab_put_frames(const struct slab_plan *plan, const struct slab_grid *grid, uint64_t index,
                     const uint8_t *elements, uint8_t *turned, uint8_t *out);
uint64_t slab_turned_bytes(const struct layout_dataset *dataset, const struct slab_grid *grid);

/** Runs of small chunks are a few bytes long, where a call of memcpy() would cost more than them.
 */
static inline void slab_copy_run(uint8_t *to, const uint8_t *from, size_t len)
{
    if (len > 256) {
        memcpy(to, from, len);
    } else if (len >= 16) {
        for (size_t i = 0; i + 16 < len; i += 16) {
            memcpy(to + i, from + i, 16);
        }
        memcpy(to + len - 16, from + len - 16, 16);
    } else if (len >= 8) {
        uint64_t head, tail;

        memcpy(&head, from, 8);
        memcpy(&tail, from + len - 8, 8);
        memcpy(to, &head, 8);
        memcpy(to + len - 8, &tail, 8);
    } else if (len >= 4) {
        uint32_t head, tail;

        memcpy(&head, from, 4);
        memcpy(&tail, from + len - 4, 4);
        memcpy(to, &head, 4);
        memcpy(to + len - 4, &tail, 4);
    } else {
        for (size_t i = 0; i < len; i++) {
            to[i] = from[i];
        }
    }
}
