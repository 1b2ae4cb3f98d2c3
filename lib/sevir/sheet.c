/** @file
 * Contact sheets: measured first, then drawn into one plane of palette indices.
 *
 * The sheet's palette holds only the colours it uses: paper, ink and the frames' own.
 */
#include "lib/sevir/sheet.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/now.h"
#include "lib/data/bytemap.h"
#include "lib/sevir/lightning.h"
#include "lib/sevir/projection.h"
#include "lib/sevir/sheet_p.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define TINY 96 /**< Frames smaller than this are enlarged by a whole number. */
#define CANVAS_MAX (1ull << 30)
#define LABEL_MAX 32
#define TITLE_LINES 3
#define FILE_SHOWN 96

/* ---- palette ------------------------------------------------------------------------------- */

static unsigned squared(int a, int b)
{
    return (unsigned)((a - b) * (a - b));
}

static uint8_t nearest(const struct sheet *sheet, struct pngfile_rgb rgb)
{
    unsigned best = 0, best_distance = UINT32_MAX;

    for (unsigned i = 0; i < sheet->colors; i++) {
        const struct pngfile_rgb *other = &sheet->palette[i];
        unsigned distance =
            squared(other->r, rgb.r) + squared(other->g, rgb.g) + squared(other->b, rgb.b);
        if (distance < best_distance) {
            best = i;
            best_distance = distance;
        }
    }
    return (uint8_t)best;
}

static uint8_t index_of(const struct sheet_options *options, unsigned byte)
{
    return options->map != NULL ? options->map[byte] : (uint8_t)byte;
}

/** The frames' colours that are used get entries of their own while there is room. */
static void choose_palette(struct sheet *sheet)
{
    static const struct pngfile_rgb own[] = {[SHEET_PAPER] = {255, 255, 255},
                                             [SHEET_INK] = {24, 24, 24},
                                             [SHEET_FAINT] = {128, 128, 128}};
    const struct sheet_options *options = sheet->options;
    const struct colors *colors = colors_of(options->type);
    size_t pixels = (size_t)options->width * options->height;
    /* Looking at every pixel costs more than drawing: only a palette that may not fit is worth it.
     */
    const bool fits = colors->count + ARRAY_LEN(own) <= 256;
    bool seen[256] = {false}, used[256];

    for (unsigned i = 0; !fits && i < options->frame_count; i++) {
        for (size_t p = 0; p < pixels; p++) {
            seen[options->frames[i][p]] = true;
        }
    }
    memset(used, fits, sizeof(used));
    for (unsigned byte = 0; byte < 256; byte++) {
        used[index_of(options, byte)] |= seen[byte];
    }
    sheet_bar_colors(options->type, used);
    memcpy(sheet->palette, own, sizeof(own));
    sheet->colors = ARRAY_LEN(own);
    for (unsigned i = 0; i < colors->count; i++) {
        if (used[i] && sheet->colors < 256) {
            sheet->remap[i] = (uint8_t)sheet->colors;
            sheet->palette[sheet->colors++] = colors->palette[i];
        } else if (used[i]) {
            sheet->remap[i] = nearest(sheet, colors->palette[i]);
        }
    }
    for (unsigned byte = 0; byte < 256; byte++) {
        sheet->of_byte[byte] = sheet->remap[index_of(options, byte)];
    }
}

/* ---- title --------------------------------------------------------------------------------- */

static void add_place(const struct catalog_row *row, struct strbuf *out)
{
    double x0, y0, x1, y1, lat, lon;

    projection_forward(row->llcrnrlat, row->llcrnrlon, &x0, &y0);
    projection_forward(row->urcrnrlat, row->urcrnrlon, &x1, &y1);
    projection_inverse((x0 + x1) / 2, (y0 + y1) / 2, &lat, &lon);
    strbuf_printf(out, "centre %.2f\u00b0%c %.2f\u00b0%c   %.0f x %.0f km, north up", fabs(lat),
                  lat < 0 ? 'S' : 'N', fabs(lon), lon < 0 ? 'W' : 'E', row->width_m / 1000,
                  row->height_m / 1000);
}

/** The end of a long name says more than its beginning. */
static const char *name_end(const char *name)
{
    size_t len = strlen(name);

    return len > FILE_SHOWN ? name + len - FILE_SHOWN : name;
}

static const char *kind_of(const char *id)
{
    return naming_id_is_random(id) ? "random event" : naming_id_is_storm(id) ? "storm event" : "";
}

/** Without the catalog: what the file and the id tell. */
static unsigned write_short_title(const struct sheet_options *options, struct strbuf *lines)
{
    const char *title = options->title != NULL ? name_end(options->title) : "";
    char time[NOW_TEXT];
    int64_t time_utc;
    unsigned count = 0;

    if (options->id == NULL) {
        strbuf_printf(&lines[0], "%s   %s", title, sevir_type_name(options->type));
        return 1;
    }
    strbuf_printf(&lines[count++], "%.64s   %s   %s", options->id, sevir_type_name(options->type),
                  kind_of(options->id));
    if (naming_id_time(options->id, &time_utc)) {
        now_format_utc(time_utc, time);
        strbuf_printf(&lines[count++], "about %.16s UTC, by its id", time);
    }
    strbuf_puts(&lines[count++], title);
    return count;
}

static unsigned write_title(const struct sheet_options *options, struct strbuf *lines)
{
    const struct catalog_row *row = options->row;
    char time[NOW_TEXT];

    if (row == NULL) {
        return write_short_title(options, lines);
    }
    now_format_utc(row->time_utc, time);
    strbuf_printf(&lines[0], "%s   %s   %.64s", row->id, sevir_type_name(options->type),
                  row->event_type[0] != '\0' ? row->event_type : kind_of(row->id));
    strbuf_printf(&lines[1], "%s UTC   ", time);
    add_place(row, &lines[1]);
    strbuf_puts(&lines[2], name_end(row->file_name));
    if (options->type != SEVIR_LGHT) { /* a table an event, not a row */
        strbuf_printf(&lines[2], " [%" PRId64 "]", row->file_index);
    }
    return 3;
}

/** "f07 18:30 -84 min": the frame, and where the catalog knows them, its time and the minutes from
 * the event's. Flashes have no row of offsets and always the same times. */
static void write_label(const struct sheet *sheet, unsigned index, char ret_label[LABEL_MAX])
{
    const struct sheet_options *options = sheet->options;
    const struct catalog_row *row = options->row;
    unsigned frame = options->frame_numbers[index];
    const bool timed = row != NULL && frame < row->frame_count;
    char time[NOW_TEXT], clock[8] = "";
    int minutes;

    if (!timed && (options->type != SEVIR_LGHT || frame >= LIGHTNING_FRAMES)) {
        snprintf(ret_label, LABEL_MAX, "f%02u", frame);
        return;
    }
    minutes = timed ? row->minute_offsets[frame] : lightning_minutes[frame];
    if (row != NULL) {
        now_format_utc(row->time_utc + minutes * INT64_C(60), time);
        snprintf(clock, sizeof(clock), " %.5s", time + 11);
    }
    snprintf(ret_label, LABEL_MAX, minutes == 0 ? "f%02u%s %d%s" : "f%02u%s %+d%s", frame, clock,
             minutes, sheet->short_labels ? "" : " min");
}

static unsigned widest_label(const struct sheet *sheet)
{
    unsigned widest = 0;

    for (unsigned i = 0; i < sheet->options->frame_count; i++) {
        char label[LABEL_MAX];
        write_label(sheet, i, label);
        widest = MAX_OF(widest, font_width(label));
    }
    return widest;
}

/* ---- measure ------------------------------------------------------------------------------- */

/** The best that fits under a frame: large, large and short, small, small and short. */
static void measure_labels(struct sheet *sheet)
{
    uint32_t width = 0;

    for (unsigned attempt = 0; attempt < 4; attempt++) {
        sheet->label_scale = attempt < 2 ? 2 : 1;
        sheet->short_labels = attempt % 2 == 1;
        width = widest_label(sheet) * sheet->label_scale;
        if (width <= sheet->frame_width) {
            break;
        }
    }
    sheet->cell_width = MAX_OF(sheet->frame_width, width);
}

static void measure_frames(struct sheet *sheet)
{
    const struct sheet_options *options = sheet->options;
    uint32_t longest = MAX_OF(options->width, options->height);
    uint64_t to = options->scale_to;

    if (to == 0) {
        to = (uint64_t)longest * (longest < TINY ? (TINY + longest - 1) / longest : 1);
    }
    sheet_frame_size(options->width, options->height, to, &sheet->frame_width,
                     &sheet->frame_height);
    measure_labels(sheet);
    if ((uint64_t)options->frame_count * sheet->cell_width <= 1600) {
        sheet->columns = options->frame_count <= 6 ? options->frame_count : 0;
    }
    if (sheet->columns == 0) {
        sheet->columns = (unsigned)ceil(sqrt(options->frame_count));
    }
    sheet->rows = (options->frame_count + sheet->columns - 1) / sheet->columns;
}

static enum rc measure(struct sheet *sheet, const struct strbuf *lines, unsigned line_count,
                       struct err *err)
{
    uint64_t width, height;

    measure_frames(sheet);
    width = (uint64_t)sheet->columns * (sheet->cell_width + SHEET_GAP) - SHEET_GAP;
    sheet->scale = 2;
    if (width < 700 || sheet_bar_width(sheet) > width) {
        sheet->scale = 1;
        sheet->label_scale = 1;
    }
    sheet->cell_height = sheet->frame_height + SHEET_GAP / 2 + FONT_HEIGHT * sheet->label_scale;
    sheet->title_y[0] = SHEET_MARGIN;
    for (unsigned i = 0; i < line_count; i++) {
        unsigned scale = sheet->scale + (i == 0);
        width = MAX_OF(width, (uint64_t)font_width(strbuf_text(&lines[i])) * scale);
        sheet->title_y[i + 1] = sheet->title_y[i] + FONT_HEIGHT * scale + 2 * sheet->scale;
    }
    width = MAX_OF(width, (uint64_t)sheet_bar_width(sheet));
    sheet->grid_y = sheet->title_y[line_count] + SHEET_GAP;
    height = sheet->grid_y + (uint64_t)sheet->rows * (sheet->cell_height + SHEET_GAP) + SHEET_GAP;
    sheet->bar_y = (uint32_t)MIN_OF(height, (uint64_t)UINT32_MAX);
    width += 2ull * SHEET_MARGIN;
    height += sheet_bar_height(sheet) + SHEET_MARGIN;
    if (width > UINT16_MAX || height > UINT16_MAX || width * height > CANVAS_MAX) {
        return err_set(err, RC_LIMIT,
                       "a sheet of %" PRIu64 " x %" PRIu64 " pixels is too large; ask for fewer "
                       "frames",
                       width, height);
    }
    sheet->canvas.width = (uint32_t)width;
    sheet->canvas.height = (uint32_t)height;
    return RC_OK;
}

/* ---- draw ---------------------------------------------------------------------------------- */

void sheet_fill(struct sheet *sheet, uint32_t x, uint32_t y, uint32_t width, uint32_t height,
                uint8_t color)
{
    for (uint32_t row = y; row < y + height; row++) {
        memset(sheet->canvas.pixels + (size_t)row * sheet->canvas.width + x, color, width);
    }
}

void sheet_frame_line(struct sheet *sheet, uint32_t x, uint32_t y, uint32_t width, uint32_t height)
{
    sheet_fill(sheet, x - 1, y - 1, width + 2, 1, SHEET_FAINT);
    sheet_fill(sheet, x - 1, y + height, width + 2, 1, SHEET_FAINT);
    sheet_fill(sheet, x - 1, y, 1, height, SHEET_FAINT);
    sheet_fill(sheet, x + width, y, 1, height, SHEET_FAINT);
}

/** Every other pixel: by far the most frequent scale, of frames of radar. */
static void halve_row(const uint8_t *source, uint32_t width, uint8_t *target)
{
    uint32_t column = 0;

#ifdef __SSE2__
    for (; column + 16 <= width; column += 16) {
        const __m128i a = _mm_loadu_si128((const __m128i *)(source + 2 * column));
        const __m128i b = _mm_loadu_si128((const __m128i *)(source + 2 * column + 16));

        _mm_storeu_si128((__m128i *)(target + column),
                         _mm_packus_epi16(_mm_srli_epi16(a, 8), _mm_srli_epi16(b, 8)));
    }
#endif
    for (; column < width; column++) {
        target[column] = source[2 * column + 1];
    }
}

static void pick_row(const uint8_t *source, const uint32_t *columns, uint32_t width,
                     uint8_t *target)
{
    for (uint32_t column = 0; column < width; column++) {
        target[column] = source[columns[column]];
    }
}

/** What is under the middle of pixel `at` of `to` that show `from`. */
static uint32_t middle_of(uint32_t at, uint32_t from, uint32_t to)
{
    return (uint32_t)((2ull * at + 1) * from / (2ull * to));
}

static uint32_t *map_columns(uint32_t from, uint32_t to)
{
    uint32_t *columns = mem_resize(NULL, to, sizeof(*columns));

    for (uint32_t at = 0; at < to; at++) {
        columns[at] = middle_of(at, from, to);
    }
    return columns;
}

void sheet_frame_size(uint32_t width, uint32_t height, uint64_t longest, uint32_t *ret_width,
                      uint32_t *ret_height)
{
    const uint32_t now = MAX_OF(width, height);

    *ret_width = (uint32_t)MAX_OF(width * longest / now, 1);
    *ret_height = (uint32_t)MAX_OF(height * longest / now, 1);
}

/** Rows keep their order; those of the sheet are counted from the north. No pixel comes from before
 * the place it goes to, so both may be the same. */
void sheet_shrink(const uint8_t *frame, uint32_t width, uint32_t height, uint32_t to_width,
                  uint32_t to_height, uint8_t *to)
{
    const bool same = width == to_width, halves = width == 2 * to_width;
    scoped(free) uint32_t *columns = same || halves ? NULL : map_columns(width, to_width);

    for (uint32_t row = 0; row < to_height; row++) {
        const uint32_t from = height - 1 - middle_of(to_height - 1 - row, height, to_height);
        const uint8_t *source = frame + (size_t)from * width;

        if (same) {
            memmove(to, source, width);
        } else if (halves) {
            halve_row(source, to_width, to);
        } else {
            pick_row(source, columns, to_width, to);
        }
        to += to_width;
    }
}

/** `pixels` are as many as the sheet shows, row 0 is south. */
static void draw_frame(struct sheet *sheet, const uint8_t *pixels, const struct bytemap *map,
                       uint32_t x, uint32_t y)
{
    const uint32_t width = sheet->frame_width, height = sheet->frame_height;

    for (uint32_t row = 0; row < height; row++) {
        uint8_t *target = sheet->canvas.pixels + (size_t)(y + row) * sheet->canvas.width + x;

        bytemap_apply(map, pixels + (size_t)(height - 1 - row) * width, width, target);
    }
    sheet_frame_line(sheet, x, y, width, height);
}

static void draw_grid(struct sheet *sheet)
{
    const struct sheet_options *options = sheet->options;
    const uint32_t width = sheet->frame_width, height = sheet->frame_height;
    const bool fits = width == options->width && height == options->height;
    scoped(free) uint8_t *shown = fits ? NULL : mem_resize(NULL, (size_t)width * height, 1);
    struct bytemap map;

    bytemap_of(sheet->of_byte, &map);
    for (unsigned i = 0; i < options->frame_count; i++) {
        uint32_t x = SHEET_MARGIN + i % sheet->columns * (sheet->cell_width + SHEET_GAP);
        uint32_t y = sheet->grid_y + i / sheet->columns * (sheet->cell_height + SHEET_GAP);
        char label[LABEL_MAX];

        if (!fits) {
            sheet_shrink(options->frames[i], options->width, options->height, width, height, shown);
        }
        draw_frame(sheet, fits ? options->frames[i] : shown, &map, x, y);
        write_label(sheet, i, label);
        font_draw(&sheet->canvas, x, y + sheet->frame_height + SHEET_GAP / 2, sheet->label_scale,
                  SHEET_INK, label);
    }
}

static enum rc draw(struct sheet *sheet, const struct strbuf *lines, unsigned line_count,
                    struct strbuf *out, struct err *err)
{
    struct pngfile_text title = {.keyword = "Title", .text = strbuf_text(&lines[0])};
    size_t pixels = (size_t)sheet->canvas.width * sheet->canvas.height;

    sheet->canvas.pixels = mem_try(pixels, 1);
    if (sheet->canvas.pixels == NULL) {
        return err_set(err, RC_LIMIT, "no memory for a sheet of %zu pixels", pixels);
    }
    memset(sheet->canvas.pixels, SHEET_PAPER, pixels);
    for (unsigned i = 0; i < line_count; i++) {
        font_draw(&sheet->canvas, SHEET_MARGIN, sheet->title_y[i], sheet->scale + (i == 0),
                  SHEET_INK, strbuf_text(&lines[i]));
    }
    draw_grid(sheet);
    sheet_bar_draw(sheet);
    const struct pngfile_picture picture = {
        .pixels = sheet->canvas.pixels,
        .width = sheet->canvas.width,
        .height = sheet->canvas.height,
        .palette = sheet->palette,
        .colors = sheet->colors,
        .texts = &title,
        .text_count = 1,
    };
    struct pngfile_encoder *kept = sheet->options->encoder;
    struct pngfile_encoder *encoder = kept != NULL ? kept : pngfile_encoder_new();
    enum rc rc = pngfile_encode(encoder, &picture, out, err);

    if (kept == NULL) {
        pngfile_encoder_free(encoder);
    }
    free(sheet->canvas.pixels);
    return rc;
}

enum rc sheet_png(const struct sheet_options *options, struct strbuf *out, struct err *err)
{
    struct sheet sheet = {.options = options};
    struct strbuf lines[TITLE_LINES] = {{0}};
    enum rc rc;

    if (options->frame_count == 0 || options->width == 0 || options->height == 0) {
        return err_set(err, RC_INVALID, "a sheet needs at least one frame of one pixel");
    }
    choose_palette(&sheet);
    unsigned line_count = write_title(options, lines);
    rc = measure(&sheet, lines, line_count, err);
    if (rc == RC_OK) {
        rc = draw(&sheet, lines, line_count, out, err);
    }
    for (unsigned i = 0; i < TITLE_LINES; i++) {
        strbuf_done(&lines[i]);
    }
    return rc;
}
