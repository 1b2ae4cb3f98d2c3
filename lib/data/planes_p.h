/** @file
 * What both ways to the statistics share.
 */
#pragma once

#include "lib/data/planes.h"

/** Where numpy's percentile of `count` (at least 1) sorted values lies: two ranks and a weight. */
double plane_percentile_place(double percent, uint64_t count, uint64_t *ret_low,
                              uint64_t *ret_high);
/** numpy's _lerp(), operation by operation. */
double plane_interpolate(double a, double b, double weight);

/** By sorting; `stats` comes in as for a plane where nothing is valid. */
void plane_wide_stats(const void *plane, size_t pixels, enum sample sample,
                      const struct plane_coding *coding, void *scratch, struct plane_stats *stats);
