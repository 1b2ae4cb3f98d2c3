/** @file
 * What layout, its codec and slab share.
 */
#pragma once

#include "lib/data/layout.h"

/** HDF5's registered numbers of the filters that are undone without libhdf5. */
enum { LAYOUT_DEFLATE = 1, LAYOUT_SHUFFLE = 2, LAYOUT_FLETCHER32 = 3 };

/** Elements of axes `from_axis` and later (1 for none); false on overflow. */
bool layout_count(const struct layout_dataset *dataset, unsigned from_axis, uint64_t *ret_count);
/** Chunks along each axis and in all; false on overflow or a chunk of no extent. */
bool layout_grid(const struct layout_dataset *dataset, uint64_t grid[LAYOUT_RANK_MAX],
                 uint64_t *ret_cells);

/* The encoded form */

#define LAYOUT_VERSION 1
extern const uint8_t layout_magic[4];
enum { LAYOUT_FLAG_SIGNED = 1, LAYOUT_FLAG_BIG_ENDIAN = 2, LAYOUT_FLAG_PLAIN = 4 };

/** Valid UTF-8 without control characters; line breaks and tabs pass where `lines`. */
bool layout_text_ok(const char *bytes, size_t len, bool lines);
