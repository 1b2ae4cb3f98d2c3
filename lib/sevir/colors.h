/** @file
 * SEVIR's own colour tables (eie-sevir display.py), from code to palette index. Pure.
 *
 * Every palette fits a PNG: at most 256 entries, no colour twice. Missing pixels (VIL code 255,
 * NaN) take the colour `bad` (docs/decisions/0003-colours.md).
 */
#pragma once

#include "lib/data/planes.h"
#include "lib/data/pngfile.h"
#include "lib/sevir/naming.h"

struct colors {
    const struct pngfile_rgb *palette;
    unsigned count; /**< 1 to 256. */
};

const struct colors *colors_of(enum sevir_type type);

/** Map a plane of codes to palette indices (one byte a pixel). */
void colors_map(enum sevir_type type, const void *plane, size_t pixels, enum sample sample,
                uint8_t *ret_indices);
/** The same as a table of 256, for planes of SAMPLE_U8. */
const uint8_t *colors_bytes(enum sevir_type type);
/** The index of one code. */
uint8_t colors_index(enum sevir_type type, double code);

/* For colour bars. */

/** The codes where the colours of a linear map begin and end. */
void colors_range(enum sevir_type type, double *ret_low, double *ret_high);
/** The levels between which a level map has one colour each; 0 for a linear map. */
unsigned colors_levels(enum sevir_type type, const double **ret_levels);
