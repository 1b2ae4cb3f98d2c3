/** @file
 * PNG files in memory: indexed, at the smallest bit depth, deflated by
 * deflate_runs(), framed by libpng.
 *
 * The same pixels, palette and texts always give the same bytes.
 *
 * Thread:     any; workers. An encoder belongs to one thread at a time.
 * Ownership:  an encoder keeps its working memory from picture to picture, about three times the
 *             packed pixels and 400 KiB: one a unit of work, not one a picture.
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

/** Optional text chunks: "Title". Written as tEXt, or iTXt where the text is not ASCII. */
struct pngfile_text {
    const char *keyword, *text;
};

struct pngfile_picture {
    /** width * height palette indices, top row first; codes, where there is a map. */
    const uint8_t *pixels;
    const uint8_t *map; /**< From each of the 256 codes to its index, or NULL. */
    uint32_t width, height;
    bool flip; /**< Write the rows bottom up. */
    const struct pngfile_rgb *palette;
    unsigned colors; /**< 1 to 256; depth 1, 2, 4 or 8 is what holds it. */
    const struct pngfile_text *texts;
    unsigned text_count;
};

struct pngfile_encoder;
struct pngfile_encoder *pngfile_encoder_new(void);
void pngfile_encoder_free(struct pngfile_encoder *encoder);
SCOPED_FN(struct pngfile_encoder, pngfile_encoder_free)

/** Appends the file to `out`. RC_INVALID for an index without a colour, an empty picture or a side
 * over a million. */
enum rc pngfile_encode(struct pngfile_encoder *encoder, const struct pngfile_picture *picture,
                       struct strbuf *out, struct err *err);

/** As pngfile_encode(), for a single picture: makes an encoder and frees it. */
enum rc pngfile_indexed(const uint8_t *pixels, uint32_t width, uint32_t height, bool flip,
                        const struct pngfile_rgb *palette, unsigned colors,
                        const struct pngfile_text *texts, unsigned text_count, struct strbuf *out,
                        struct err *err);
