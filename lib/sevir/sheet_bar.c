/** @file
 * What is seen, and its colour bar: boxes for VIL levels and flash counts, a continuous one for the
 * rest.
 *
 * A bar is a list of steps, each with a colour and the width of a share, and of ticks between them.
 * Ticks have one label a row; VIL has two rows, its codes and kg/m2.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/sevir/encoding.h"
#include "lib/sevir/sheet_p.h"

#define BOX 44         /**< Width of a box at scale 1: room for a label. */
#define CONTINUOUS 440 /**< Width of a continuous bar at scale 1. */
#define HEIGHT 14
#define TICK 3
#define CAPTION (FONT_HEIGHT + 4) /**< What is above the bar. */
#define COUNTS 6                  /**< Flashes: 0 to 4, and 5 or more. */

/** Rows of labels have a name in front. */
static const char *row_name(enum sevir_type type, unsigned row)
{
    if (type == SEVIR_VIL) {
        return row == 0 ? "VIL code" : "kg/m\u00b2";
    }
    return encoding_unit(type);
}

static unsigned row_count(enum sevir_type type)
{
    return type == SEVIR_VIL ? 2 : 1;
}

/** Boxes of a bar; 0 for a continuous one. VIL's first is what lies below the lowest level. */
static unsigned box_count(enum sevir_type type)
{
    const double *levels;

    if (type == SEVIR_VIL) {
        return colors_levels(type, &levels);
    }
    return type == SEVIR_LGHT ? COUNTS : 0;
}

static uint8_t box_color(enum sevir_type type, unsigned box)
{
    const double *levels;

    if (type == SEVIR_LGHT) {
        return colors_index(type, box);
    }
    colors_levels(type, &levels);
    return colors_index(type, box == 0 ? 0 : levels[box - 1]);
}

static double code_at(enum sevir_type type, double share)
{
    double low, high;

    colors_range(type, &low, &high);
    return low + (high - low) * share;
}

void sheet_bar_colors(enum sevir_type type, bool used[256])
{
    unsigned boxes = box_count(type);

    for (unsigned box = 0; box < boxes; box++) {
        used[box_color(type, box)] = true;
    }
    for (unsigned i = 0; boxes == 0 && i <= 1024; i++) {
        used[colors_index(type, code_at(type, i / 1024.0))] = true;
    }
    used[colors_index(type, (double)NAN)] |= type == SEVIR_VIL;
}

/* ---- measures ------------------------------------------------------------------------------ */

static uint32_t names_width(const struct sheet *sheet)
{
    enum sevir_type type = sheet->options->type;
    unsigned width = font_width(row_name(type, 0));

    return (width + 4 * FONT_WIDTH) * sheet->scale; /* the first label reaches to the left */
}

static uint32_t scale_width(const struct sheet *sheet)
{
    unsigned boxes = box_count(sheet->options->type);

    return (boxes > 0 ? boxes * BOX : CONTINUOUS) * sheet->scale;
}

/** A swatch for missing pixels. */
static uint32_t missing_width(const struct sheet *sheet)
{
    return sheet->options->type == SEVIR_VIL ? (BOX / 2 + BOX + FONT_WIDTH) * sheet->scale : 0;
}

uint32_t sheet_bar_width(const struct sheet *sheet)
{
    /* The last label is centred under the end of the bar. */
    uint32_t bar = names_width(sheet) + scale_width(sheet) +
                   MAX_OF(missing_width(sheet), (uint32_t)BOX / 2 * sheet->scale);

    return MAX_OF(bar, font_width(encoding_name(sheet->options->type)) * sheet->scale);
}

uint32_t sheet_bar_height(const struct sheet *sheet)
{
    return (CAPTION + HEIGHT + TICK + 2 + row_count(sheet->options->type) * (FONT_HEIGHT + 2)) *
           sheet->scale;
}

/* ---- drawing ------------------------------------------------------------------------------- */

static uint32_t bar_y(const struct sheet *sheet)
{
    return sheet->bar_y + CAPTION * sheet->scale;
}

static void label(struct sheet *sheet, uint32_t middle, unsigned row, const char *text)
{
    uint32_t half = (font_width(text) - 1) * sheet->scale / 2;
    uint32_t y = bar_y(sheet) + (HEIGHT + TICK + 2 + row * (FONT_HEIGHT + 2)) * sheet->scale;

    font_draw(&sheet->canvas, middle > half ? middle - half : 0, y, sheet->scale, SHEET_INK, text);
}

static void tick(struct sheet *sheet, uint32_t x)
{
    sheet_fill(sheet, x, bar_y(sheet) + HEIGHT * sheet->scale, sheet->scale, TICK * sheet->scale,
               SHEET_INK);
}

static void draw_vil_ticks(struct sheet *sheet, uint32_t x)
{
    const double *levels;
    unsigned count = colors_levels(SEVIR_VIL, &levels);

    for (unsigned i = 0; i <= count; i++) {
        unsigned code = i == 0 ? 0 : (unsigned)levels[i - 1];
        uint32_t at = x + i * BOX * sheet->scale;
        char text[24];
        code = MIN_OF(code, 254); /* 255 is missing */
        double kg_m2 = encoding_vil_kg_m2(code);
        tick(sheet, at);
        snprintf(text, sizeof(text), "%u", code);
        label(sheet, at, 0, text);
        snprintf(text, sizeof(text), kg_m2 < 10 ? "%.2g" : "%.0f", kg_m2);
        label(sheet, at, 1, text);
    }
}

static void draw_missing(struct sheet *sheet, uint32_t x)
{
    uint32_t width = BOX * sheet->scale;

    x += BOX / 2 * sheet->scale;
    sheet_fill(sheet, x, bar_y(sheet), width, HEIGHT * sheet->scale,
               sheet->remap[colors_index(sheet->options->type, (double)NAN)]);
    sheet_frame_line(sheet, x, bar_y(sheet), width, HEIGHT * sheet->scale);
    label(sheet, x + width / 2, 0, "missing");
}

static void draw_boxes(struct sheet *sheet, uint32_t x)
{
    enum sevir_type type = sheet->options->type;
    unsigned boxes = box_count(type);
    uint32_t width = BOX * sheet->scale;

    for (unsigned box = 0; box < boxes; box++) {
        char text[16];
        sheet_fill(sheet, x + box * width, bar_y(sheet), width, HEIGHT * sheet->scale,
                   sheet->remap[box_color(type, box)]);
        if (type == SEVIR_LGHT) {
            snprintf(text, sizeof(text), "%u%s", box, box == COUNTS - 1 ? "+" : "");
            label(sheet, x + box * width + width / 2, 0, text);
        }
    }
    if (type == SEVIR_VIL) {
        draw_vil_ticks(sheet, x);
        draw_missing(sheet, x + boxes * width);
    }
}

static void draw_continuous(struct sheet *sheet, uint32_t x)
{
    enum sevir_type type = sheet->options->type;
    uint32_t width = scale_width(sheet);
    double scale = encoding_of(type)->scale, low, high;
    double step = type == SEVIR_VIS ? 2000 : 1000; /* codes: 0.2, or 10 degrees */

    for (uint32_t column = 0; column < width; column++) {
        double code = code_at(type, (column + 0.5) / width);
        sheet_fill(sheet, x + column, bar_y(sheet), 1, HEIGHT * sheet->scale,
                   sheet->remap[colors_index(type, code)]);
    }
    colors_range(type, &low, &high);
    for (double code = low; code <= high; code += step) {
        uint32_t at = x + (uint32_t)lround((code - low) / (high - low) * width);
        char text[24];
        tick(sheet, at);
        snprintf(text, sizeof(text), type == SEVIR_VIS ? "%.1f" : "%.0f", code * scale);
        label(sheet, at, 0, text);
    }
}

/** What is seen; and how to read what stands under the frames, where there is room for that. */
static void draw_caption(struct sheet *sheet)
{
    static const char legend[] = "frame, time (UTC), minutes from the event";
    const char *name = encoding_name(sheet->options->type);
    const uint32_t name_width = font_width(name) * sheet->scale;
    const uint32_t legend_width = font_width(legend) * sheet->scale;
    const uint32_t room = sheet->canvas.width - 2 * SHEET_MARGIN;

    font_draw(&sheet->canvas, SHEET_MARGIN, sheet->bar_y, sheet->scale, SHEET_INK, name);
    if (sheet->short_labels && sheet->options->row != NULL &&
        name_width + legend_width + 2 * FONT_WIDTH * sheet->scale <= room) {
        font_draw(&sheet->canvas, SHEET_MARGIN + room - legend_width, sheet->bar_y, sheet->scale,
                  SHEET_INK, legend);
    }
}

void sheet_bar_draw(struct sheet *sheet)
{
    enum sevir_type type = sheet->options->type;
    uint32_t x = SHEET_MARGIN + names_width(sheet);

    draw_caption(sheet);
    for (unsigned row = 0; row < row_count(type); row++) {
        const char *name = row_name(type, row);
        label(sheet, SHEET_MARGIN + font_width(name) * sheet->scale / 2, row, name);
    }
    if (box_count(type) > 0) {
        draw_boxes(sheet, x);
    } else {
        draw_continuous(sheet, x);
    }
    sheet_frame_line(sheet, x, bar_y(sheet), scale_width(sheet), HEIGHT * sheet->scale);
}
