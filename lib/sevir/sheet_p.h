/** @file
 * A sheet while it is made; shared by sheet.c and sheet_bar.c alone.
 */
#pragma once

#include "lib/sevir/font.h"
#include "lib/sevir/sheet.h"

#define SHEET_MARGIN 16
#define SHEET_GAP 8

enum { SHEET_PAPER, SHEET_INK, SHEET_FAINT }; /* the first entries of its palette */

struct sheet {
    const struct sheet_options *options;
    struct pngfile_rgb palette[256];
    unsigned colors;
    uint8_t remap[256];   /**< From an index of the type's palette to the sheet's. */
    uint8_t of_byte[256]; /**< From a byte of a frame to the sheet's index. */

    /* where things are */
    unsigned scale;       /**< Of the text; the first line of the title is one larger. */
    unsigned label_scale; /**< Of the frames' labels. */
    uint32_t frame_width, frame_height, cell_width, cell_height;
    unsigned columns, rows;
    bool short_labels; /**< "-84" instead of "-84 min". */
    uint32_t title_y[4], grid_y, bar_y;

    struct font_canvas canvas;
};

/** Marks the colours that the type's bar wants. */
void sheet_bar_colors(enum sevir_type type, bool used[256]);
/** With its labels and what is above it; wants `scale`. */
uint32_t sheet_bar_width(const struct sheet *sheet);
uint32_t sheet_bar_height(const struct sheet *sheet);
void sheet_bar_draw(struct sheet *sheet);

void sheet_fill(struct sheet *sheet, uint32_t x, uint32_t y, uint32_t width, uint32_t height,
                uint8_t color);
/** A thin line around a rectangle. */
void sheet_frame_line(struct sheet *sheet, uint32_t x, uint32_t y, uint32_t width, uint32_t height);
