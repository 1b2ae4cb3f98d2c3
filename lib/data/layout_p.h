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
