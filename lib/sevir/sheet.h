/** @file
 * The contact sheet of an event: title, frames in a grid with their times, a labelled colour bar in
 * physical units. Pure: indexed planes in, a PNG out.
 *
 * Thread:     any; workers.
 */
#pragma once

#include "lib/sevir/catalog_row.h"
#include "lib/sevir/colors.h"

struct sheet_options {
    enum sevir_type type;
    const struct catalog_row
        *row;               /**< NULL when the catalog is not at hand: then a shorter title. */
    const char *title;      /**< Used when `row` is NULL: the file and index. */
    const char *id;         /**< Then also this, if the file tells it; may be NULL. */
    uint32_t width, height; /**< Of one frame, pixels. */
    const uint8_t *const *frames; /**< Indexed by colors_map(); codes, where there is a map. Row 0
                                     is south. */
    const uint8_t *map;           /**< As colors_bytes() gives it, or NULL. */
    const unsigned *frame_numbers;
    unsigned frame_count;
    unsigned scale_to;               /**< Longest side of a frame on the sheet; 0: native. */
    struct pngfile_encoder *encoder; /**< NULL: one is made for this sheet. */
};

/** How large a frame is on a sheet on which its longest side is `longest`. */
void sheet_frame_size(uint32_t width, uint32_t height, uint64_t longest, uint32_t *ret_width,
                      uint32_t *ret_height);
/** Those pixels of a frame that a sheet shows where it is that large: a sheet of such frames is the
 * sheet of the whole ones. Rows keep their order. Where none is enlarged, `to` may be `frame`. */
void sheet_shrink(const uint8_t *frame, uint32_t width, uint32_t height, uint32_t to_width,
                  uint32_t to_height, uint8_t *to);
enum rc sheet_png(const struct sheet_options *options, struct strbuf *out, struct err *err);
