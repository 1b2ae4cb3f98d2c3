/** @file
 * SEVIR's own colour tables (eie-sevir display.py), from code to palette index. Pure.
 *
 * Every palette fits a PNG: at most 256 entries. Missing pixels take the colour `bad`. Integers have
 * no missing code but VIL's 255, so ir107 and lght keep all 256 colours for them; for floats, whose NaN is
 * missing, the two closest of these give way to `bad` (decision 0003).
 */
#pragma once

#include "lib/data/planes.h"
#include "lib/data/pngfile.h"
#include "lib/sevir/naming.h"

struct colors {
    const struct pngfile_rgb *palette;
    unsigned count; /**< 1 to 256. */
};

/** The palette that the indices of samples of this kind refer to. */
const struct colors *colors_of(enum sevir_type type, enum sample sample);

/** Map a plane of codes to palette indices (one byte a pixel). */
void colors_map(enum sevir_type type, const void *plane, size_t pixels, enum sample sample,
                uint8_t *ret_indices);
/** The index of one code, as a sample of this kind. */
uint8_t colors_index(enum sevir_type type, enum sample sample, double code);
