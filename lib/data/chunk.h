/** @file
 * One stored chunk, from its bytes in the file to its elements: HDF5's filters undone. Pure.
 *
 * Filters were applied first to last and are undone last to first; a bit of the chunk's mask says
 * that one was skipped. Known here: deflate (libdeflate), shuffle, fletcher32.
 *
 * Thread:     any; workers.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/base/rc.h"
#include "lib/data/layout.h"

struct libdeflate_decompressor;

struct chunk_job {
    const struct layout_filter *filters;
    unsigned filter_count;
    uint32_t mask;
    size_t element_bytes;
    const uint8_t *stored;
    size_t stored_bytes;
    uint8_t *out;
    size_t out_bytes; /**< The chunk's decoded size, to the byte. */
    uint8_t *scratch; /**< chunk_scratch_bytes() */
    struct libdeflate_decompressor *inflater;
};

/** Working memory to undo such a pipeline for chunks of `out_bytes`. */
uint64_t chunk_scratch_bytes(const struct layout_filter *filters, unsigned count,
                             uint64_t out_bytes);

/** Whether the stored bytes already are the elements. */
bool chunk_is_verbatim(unsigned filter_count, uint32_t mask);

/** RC_CORRUPT says what did not check. */
enum rc chunk_decode(const struct chunk_job *job, struct err *err);

/** HDF5's own: big-endian 16-bit words whatever the machine, an odd byte counting as a high one. */
uint32_t chunk_fletcher32(const uint8_t *bytes, size_t len);

/** `element_bytes` planes of bytes back to elements; a remainder is copied as it is. */
void chunk_unshuffle(const uint8_t *shuffled, uint8_t *elements, size_t len, size_t element_bytes);

/** Reverse the bytes of each element (2, 4 or 8), in place. */
void chunk_swap(uint8_t *elements, size_t count, size_t element_bytes);
