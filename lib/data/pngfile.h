/** @file
 * PNG files in memory: indexed, at the smallest bit depth, deflated by ISA-L, framed by libpng.
 *
 * The same pixels and palette always give the same bytes.
 *
 * Thread:     any; workers.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/rc.h"
#include "lib/base/str.h"

struct pngfile_rgb {
    uint8_t r, g, b;
};

/** Optional tEXt chunks: "Title". */
struct pngfile_text {
    const char *keyword, *text;
};

/** `pixels` are width * height palette indices, top row first; `colors` is 1 to 256, and depth 1, 2,
 * 4 or 8 is what holds it. `flip` writes the rows bottom up. Appends the file to `out`. */
enum rc pngfile_indexed(const uint8_t *pixels, uint32_t width, uint32_t height, bool flip,
                        const struct pngfile_rgb *palette, unsigned colors,
                        const struct pngfile_text *texts, unsigned text_count, struct strbuf *out,
                        struct err *err);
