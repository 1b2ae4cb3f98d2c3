/** @file
 * Animated PNG, put together from finished PNG files: one a frame, all of one size and palette, as
 * pngfile makes them. The pixels are not touched. A program that knows no animation shows the first
 * frame.
 *
 * Thread:     any; an animation belongs to one thread at a time.
 * Ownership:  `out` is borrowed from apng_begin() to apng_end().
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/base/rc.h"
#include "lib/base/str.h"

#define APNG_DELAY_MAX_MS 65535

struct apng {
    struct strbuf *out;
    unsigned frames, added;
    unsigned delay_ms, loops;
    uint32_t sequence;
    uint32_t width, height;
    size_t head_at, head_len; /**< In `out`: the first frame's IHDR, without its length. */
    size_t colors_at, colors_len;
};

/** `frames` will be added, each shown for `delay_ms` (at most APNG_DELAY_MAX_MS); `loops` 0: for
 * ever. */
void apng_begin(struct apng *apng, unsigned frames, unsigned delay_ms, unsigned loops,
                struct strbuf *out);
/** RC_INVALID when it is no PNG, or of another size, depth or palette than the first. */
enum rc apng_add(struct apng *apng, const void *png, size_t len, struct err *err);
/** Requires: all frames were added. */
void apng_end(struct apng *apng);
