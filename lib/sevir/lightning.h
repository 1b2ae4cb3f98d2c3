/** @file
 * Flashes counted on the grid of the pictures: 48 x 48 cells of 8 km, 49 frames of 5 minutes. Pure.
 *
 * As SEVIR's tutorial does it: frame k holds the flashes of the five minutes from its time on; the
 * last one also all later flashes, the first one also all earlier.
 */
#pragma once

#include <stdint.h>

#define LIGHTNING_SIDE 48
#define LIGHTNING_FRAMES 49
#define LIGHTNING_CELLS (LIGHTNING_SIDE * LIGHTNING_SIDE)

/** Minutes of each frame from the event's time: -120, -115, ... 120. */
extern const int16_t lightning_minutes[LIGHTNING_FRAMES];

/** Count one flash: `t` seconds from the event's time, `x` and `y` on the grid. One outside the
 * grid is not counted. `planes` is [LIGHTNING_FRAMES][LIGHTNING_SIDE][LIGHTNING_SIDE], south first.
 */
void lightning_count(double t, double x, double y, uint32_t *planes);
