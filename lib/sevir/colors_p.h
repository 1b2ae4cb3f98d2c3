/** @file
 * The colour tables: 0xRRGGBB. Shared by colors.c and colors_tables.c alone.
 */
#pragma once

#include <stdint.h>

#define COLORS_VIL 9
#define COLORS_VIS 26
#define COLORS_IR069 118
#define COLORS_IR107 256
#define COLORS_LGHT 256

#define COLORS_BAD 0x000000

/* Level maps: levels[i] <= code < levels[i + 1] has colour i. */
extern const double colors_vil_levels[COLORS_VIL + 1];
extern const uint32_t colors_vil[COLORS_VIL];
extern const double colors_vis_levels[COLORS_VIS + 1];
extern const uint32_t colors_vis[COLORS_VIS];

/* Linear maps over a range of codes. */
extern const uint32_t colors_ir069[COLORS_IR069];
extern const uint32_t colors_ir107[COLORS_IR107];
extern const uint32_t colors_lght[COLORS_LGHT];
