/** @file
 * The chunk table of an open dataset, by the recording driver.
 *
 * Thread:     the helper's only one.
 */
#pragma once

#include <hdf5.h>

#include "lib/data/layout.h"

/** Fill `dataset`'s chunk table from the index of `id`; needs its dims and chunk_dims. A grid of
 * more than `*budget` cells leaves the table out (chunk_count 0): the rows must then be read by
 * libhdf5. `*budget` shrinks by what was taken. */
enum rc h5_chunks_read(hid_t id, bool edges_unfiltered, struct layout_dataset *dataset,
                       uint64_t *budget, struct err *err);
