/** @file
 * A small bitmap font for labels on pictures: ASCII, the degree sign, the superscript two and the
 * micro sign; slanted strokes stay smooth when it is drawn larger. Pure.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define FONT_WIDTH 6
#define FONT_HEIGHT 10
#define FONT_LARGEST 3 /**< Scale. */

/** Pixels of one byte each, top row first; borrowed. */
struct font_canvas {
    uint8_t *pixels;
    uint32_t width, height;
};

/** Pixels that a UTF-8 text takes at scale 1. */
unsigned font_width(const char *text);
/** The text with its upper left corner at (x, y); what lies outside the canvas is cut.
 * Requires: `scale` is 1 to FONT_LARGEST. */
void font_draw(const struct font_canvas *canvas, uint32_t x, uint32_t y, unsigned scale,
               uint8_t ink, const char *text);
