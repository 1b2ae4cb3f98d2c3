/** @file
 * SEVIR's own colour tables (eie-sevir display.py), from code to palette index. Pure.
 *
 * Every palette fits a PNG: at most 256 entries. Missing pixels take the colour `bad`.
 */
#pragma once

#include "lib/data/planes.h"
#include "lib/data/pngfile.h"
#include "lib/sevir/naming.h"

struct colors {
    const struct pngfile_rgb *palette;
    unsigned count;       /**< 1 to 256. */
};

const struct colors *colors_of(enum sevir_type type);

/** Map a plane of codes to palette indices (one byte a pixel). */
void colors_map(enum sevir_type type, const void *plane, size_t pixels, enum sample sample,
                uint8_t *ret_indices);
/** The index of one code. */
uint8_t colors_index(enum sevir_type type, double code);
