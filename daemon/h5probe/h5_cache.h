/** @file
 * Parts of the file that the helper keeps, so that metadata is not asked for twice.
 *
 * Metadata comes in clusters, so from near a miss brings the whole block around it. From far away,
 * where bytes count too, it does so at the file's beginning and where the last blocks turned out to
 * be clusters; elsewhere it brings what was wanted and a little more.
 *
 * Thread:     the helper's only one.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/h5/h5_wire.h"

#define H5_CACHE_BLOCK 65536u

/** Once, before the others. */
void h5_cache_start(uint64_t file_size, bool far);
/** `len` bytes from `offset`, within the file; false when there is no memory. */
bool h5_cache_read(uint64_t offset, size_t len, uint8_t *out);
/** These will be wanted soon (at most H5_WIRE_RANGES_MAX, within the file, at most 1 MiB together;
 * they are sorted): what is not there of them comes in one go. */
void h5_cache_ahead(struct h5_wire_range *ranges, unsigned count);
