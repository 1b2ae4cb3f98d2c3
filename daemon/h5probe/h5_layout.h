/** @file
 * The layout of an open file: a walk over its groups.
 *
 * Thread:     the helper's only one.
 */
#pragma once

#include <hdf5.h>

#include "lib/data/layout.h"

/** What the walk bounds, so that a file cannot make it endless. */
#define H5_LAYOUT_DEPTH_MAX 64      /**< Groups within groups; deeper ones are skipped. */
#define H5_LAYOUT_GROUPS_MAX 100000 /**< More is RC_LIMIT. */
#define H5_LAYOUT_LINKS_MAX 1000000 /**< More is RC_LIMIT. */

/** All memory of the layout lives as long as the process. Each group is entered once, by the
 * address of its header; a further link to it counts as skipped, as do soft and external links. */
enum rc h5_layout_read(hid_t file, uint64_t file_size, struct layout *ret_layout, struct err *err);
