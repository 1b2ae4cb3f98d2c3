/** @file
 * One event as planes of palette indices, ready for pictures.
 *
 * Thread:     one.
 * Ownership:  ctl_planes_done() frees the indices.
 */
#pragma once

#include "daemon/ctl/ctl_h5.h"

struct ctl_planes {
    uint32_t width, height;
    unsigned frames;
    uint8_t *indices; /**< [frames][height][width], south first, as colors_map() gives them. */
};

void ctl_planes_done(struct ctl_planes *planes);
static inline void ctl_planes_done_ptr(struct ctl_planes *planes)
{
    ctl_planes_done(planes);
}

/** Row `index` of a raster file. */
enum rc ctl_planes_raster(struct ctl_run *run, const struct ctl_h5 *file, uint64_t index,
                          struct ctl_planes *ret_planes, struct err *err);
/** Flashes counted on their grid. */
enum rc ctl_planes_flashes(struct ctl_run *run, const struct ctl_h5 *file,
                           const struct layout_dataset *flashes, struct ctl_planes *ret_planes,
                           struct err *err);
