/** @file
 * A picture is packed and filtered into scanlines, deflated as a whole, and framed by libpng, which
 * also checks header, palette and texts. See docs/decisions/0002-png-encoder.md.
 */
#include "lib/data/pngfile.h"

#include <inttypes.h>
#include <png.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/data/bytemap.h"
#include "lib/data/deflate_runs.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define SIDE_MAX 1000000
#define PALETTE_MAX 256
#define TEXTS_MAX 16
#define FRAMING_BYTES 96 /**< Signature, header and ends; texts may take more. */

enum { FILTER_NONE = 0, FILTER_UP = 2 };

struct pngfile_encoder {
    struct deflate_runs *deflate;
    uint8_t *rows; /**< Scanlines, each behind its filter byte. */
    size_t rows_cap;
    uint8_t *deflated;
    size_t deflated_cap;
};

/** How a picture is laid out. */
struct plan {
    const struct pngfile_picture *picture;
    unsigned depth;
    size_t row_bytes;   /**< Packed, without the filter byte. */
    struct bytemap map; /**< Of picture->map, where there is one. */
};

struct pngfile_encoder *pngfile_encoder_new(void)
{
    struct pngfile_encoder *encoder = mem_new(struct pngfile_encoder);

    encoder->deflate = deflate_runs_new();
    return encoder;
}

void pngfile_encoder_free(struct pngfile_encoder *encoder)
{
    if (encoder != NULL) {
        free(encoder->rows);
        free(encoder->deflated);
        deflate_runs_free(encoder->deflate);
        free(encoder);
    }
}

/* Scanlines */

static unsigned depth_of(unsigned colors)
{
    return colors <= 2 ? 1 : colors <= 4 ? 2 : colors <= 16 ? 4 : 8;
}

static const uint8_t *source_row(const struct pngfile_picture *picture, uint32_t y)
{
    return picture->pixels + (size_t)(picture->flip ? picture->height - 1 - y : y) * picture->width;
}

typedef uint8_t bytes16 __attribute__((vector_size(16)));

/** to[i] = from[2i] << shift | from[2i + 1]; an odd one out is followed by nothing. In place too.
 */
static size_t fold_pairs(const uint8_t *from, size_t count, uint8_t *to, unsigned shift)
{
    size_t pairs = count / 2, i = 0;

#ifdef __SSE2__
    const __m128i bits = _mm_cvtsi32_si128((int)shift), low_bytes = _mm_set1_epi16(0xFF);

    for (; i + 16 <= pairs; i += 16) {
        __m128i a = _mm_loadu_si128((const __m128i *)(from + 2 * i));
        __m128i b = _mm_loadu_si128((const __m128i *)(from + 2 * i + 16));

        a = _mm_or_si128(_mm_sll_epi16(a, bits), _mm_srli_epi16(a, 8));
        b = _mm_or_si128(_mm_sll_epi16(b, bits), _mm_srli_epi16(b, 8));
        a = _mm_packus_epi16(_mm_and_si128(a, low_bytes), _mm_and_si128(b, low_bytes));
        _mm_storeu_si128((__m128i *)(to + i), a);
    }
#endif
    for (; i < pairs; i++) {
        to[i] = (uint8_t)(from[2 * i] << shift | from[2 * i + 1]);
    }
    if (count % 2 != 0) {
        to[i] = (uint8_t)(from[2 * i] << shift);
    }
    return (count + 1) / 2;
}

/** Pixels of less than a byte, leftmost in the high bits. `to` has room for half the pixels. */
static void pack_row(const uint8_t *from, size_t width, uint8_t *to, unsigned depth)
{
    size_t count = fold_pairs(from, width, to, depth);

    for (unsigned shift = 2 * depth; shift < 8; shift *= 2) {
        count = fold_pairs(to, count, to, shift);
    }
}

static void subtract_row(const uint8_t *row, const uint8_t *above, uint8_t *to, size_t len)
{
    size_t i = 0;

    for (; i + 16 <= len; i += 16) {
        bytes16 a, b;

        memcpy(&a, row + i, 16);
        memcpy(&b, above + i, 16);
        a -= b;
        memcpy(to + i, &a, 16);
    }
    for (; i < len; i++) {
        to[i] = (uint8_t)(row[i] - above[i]);
    }
}

/** Whether all are below `colors`. */
static bool indices_ok(const uint8_t *pixels, size_t count, unsigned colors)
{
    enum { LANES = 32 };
    uint8_t high[LANES] = {0};
    size_t i = 0;

    for (; i + LANES <= count; i += LANES) {
        for (unsigned k = 0; k < LANES; k++) {
            high[k] = MAX_OF(high[k], pixels[i + k]);
        }
    }
    for (; i < count; i++) {
        high[0] = MAX_OF(high[0], pixels[i]);
    }
    for (unsigned k = 1; k < LANES; k++) {
        high[0] = MAX_OF(high[0], high[k]);
    }
    return high[0] < colors;
}

/** Fewer than eight bits: rows as they are, since there the filter costs bytes. */
static void lay_packed(struct pngfile_encoder *encoder, const struct plan *plan)
{
    const struct pngfile_picture *picture = plan->picture;
    uint8_t *to = encoder->rows;

    for (uint32_t y = 0; y < picture->height; y++, to += plan->row_bytes + 1) {
        const uint8_t *row = source_row(picture, y);

        to[0] = FILTER_NONE;
        if (picture->map == NULL) {
            pack_row(row, picture->width, to + 1, plan->depth);
        } else {
            bytemap_apply(&plan->map, row, picture->width, to + 1);
            pack_row(to + 1, picture->width, to + 1, plan->depth);
        }
    }
}

/** Eight bits: each row less the one above it, which deflates better than the rows do. From the
 * bottom, for what is subtracted still has to be there. */
static void lay_bytes(struct pngfile_encoder *encoder, const struct plan *plan)
{
    const struct pngfile_picture *picture = plan->picture;
    size_t step = plan->row_bytes + 1;

    for (uint32_t y = 0; picture->map != NULL && y < picture->height; y++) {
        bytemap_apply(&plan->map, source_row(picture, y), picture->width,
                      encoder->rows + y * step + 1);
    }
    for (uint32_t y = picture->height; y-- > 0;) {
        uint8_t *to = encoder->rows + y * step;
        const uint8_t *row = picture->map != NULL ? to + 1 : source_row(picture, y);

        to[0] = FILTER_UP;
        if (y > 0) {
            subtract_row(row, picture->map != NULL ? to + 1 - step : source_row(picture, y - 1),
                         to + 1, plan->row_bytes);
        } else {
            memmove(to + 1, row, plan->row_bytes);
        }
    }
}

/* Compression */

/** Like realloc(), but without keeping what was there. */
static enum rc make_room(uint8_t **block, size_t *cap, size_t wanted, struct err *err)
{
    if (wanted <= *cap) {
        return RC_OK;
    }
    free(*block);
    *cap = 0;
    *block = mem_try(wanted, 1);
    if (*block == NULL) {
        return err_set(err, RC_LIMIT, "picture: no memory for %zu bytes", wanted);
    }
    *cap = wanted;
    return RC_OK;
}

static enum rc deflate_rows(struct pngfile_encoder *encoder, size_t len, size_t *ret_len,
                            struct err *err)
{
    enum rc rc =
        make_room(&encoder->deflated, &encoder->deflated_cap, deflate_runs_bound(len), err);

    if (rc == RC_OK) {
        *ret_len = deflate_runs(encoder->deflate, encoder->rows, len, encoder->deflated);
    }
    return rc;
}

/* Framing */

static void on_png_write(png_structp png, png_bytep bytes, size_t len)
{
    strbuf_add(png_get_io_ptr(png), bytes, len);
}

static void on_png_flush(png_structp png)
{
    (void)png;
}

static void __attribute__((noreturn)) on_png_error(png_structp png, const char *text)
{
    (void)err_set(png_get_error_ptr(png), RC_INVALID, "picture: %s", text);
    png_longjmp(png, 1);
}

static void on_png_warning(png_structp png, const char *text)
{
    (void)png;
    (void)text;
}

static bool is_ascii(const char *text)
{
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text >= 0x80) {
            return false;
        }
    }
    return true;
}

static void set_texts(png_structp png, png_infop info, const struct pngfile_text *texts,
                      unsigned count)
{
    png_text items[TEXTS_MAX] = {0};

    for (unsigned i = 0; i < count; i++) {
        items[i].compression =
            is_ascii(texts[i].text) ? PNG_TEXT_COMPRESSION_NONE : PNG_ITXT_COMPRESSION_NONE;
        items[i].key = (char *)(uintptr_t)texts[i].keyword; /* libpng copies it */
        items[i].text = (char *)(uintptr_t)texts[i].text;
    }
    png_set_text(png, info, items, (int)count);
}

struct frame {
    const struct plan *plan;
    const uint8_t *deflated;
    size_t deflated_len;
};

/** Everything of libpng that may jump. */
static void write_chunks(png_structp png, png_infop info, const struct frame *frame)
{
    const struct pngfile_picture *picture = frame->plan->picture;
    png_color palette[PALETTE_MAX];

    for (unsigned i = 0; i < picture->colors; i++) {
        palette[i] =
            (png_color){picture->palette[i].r, picture->palette[i].g, picture->palette[i].b};
    }
    png_set_IHDR(png, info, picture->width, picture->height, (int)frame->plan->depth,
                 PNG_COLOR_TYPE_PALETTE, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    png_set_PLTE(png, info, palette, (int)picture->colors);
    if (picture->text_count > 0) {
        set_texts(png, info, picture->texts, picture->text_count);
    }
    png_write_info(png, info);
    png_write_chunk(png, (png_const_bytep) "IDAT", frame->deflated, frame->deflated_len);
    png_write_chunk(png, (png_const_bytep) "IEND", NULL, 0);
}

static enum rc write_frame(const struct frame *frame, struct strbuf *out, struct err *err)
{
    png_structp png =
        png_create_write_struct(PNG_LIBPNG_VER_STRING, err, on_png_error, on_png_warning);
    png_infop info = png != NULL ? png_create_info_struct(png) : NULL;
    size_t before = out->len;
    volatile enum rc rc = RC_OK;

    if (info == NULL) {
        png_destroy_write_struct(&png, NULL);
        return err_set(err, RC_LIMIT, "picture: no memory for libpng");
    }
    strbuf_reserve(out, frame->deflated_len + FRAMING_BYTES +
                            frame->plan->picture->colors * sizeof(png_color));
    if (setjmp(png_jmpbuf(png)) == 0) {
        png_set_write_fn(png, out, on_png_write, on_png_flush);
        write_chunks(png, info, frame);
    } else {
        rc = err->rc;
        out->len = before;
    }
    png_destroy_write_struct(&png, &info);
    return rc;
}

static enum rc check_picture(const struct pngfile_picture *picture, struct err *err)
{
    bool mapped = picture->map != NULL;

    if (picture->width == 0 || picture->height == 0 || picture->width > SIDE_MAX ||
        picture->height > SIDE_MAX) {
        return err_set(err, RC_INVALID, "picture: cannot be %" PRIu32 "x%" PRIu32, picture->width,
                       picture->height);
    }
    if (picture->colors == 0 || picture->colors > PALETTE_MAX || picture->text_count > TEXTS_MAX) {
        return err_set(err, RC_INVALID, "picture: %u colours and %u texts", picture->colors,
                       picture->text_count);
    }
    if (!indices_ok(mapped ? picture->map : picture->pixels,
                    mapped ? 256 : (size_t)picture->width * picture->height, picture->colors)) {
        return err_set(err, RC_INVALID, "picture: a pixel has none of its %u colours",
                       picture->colors);
    }
    return RC_OK;
}

enum rc pngfile_encode(struct pngfile_encoder *encoder, const struct pngfile_picture *picture,
                       struct strbuf *out, struct err *err)
{
    struct plan plan = {.picture = picture, .depth = depth_of(picture->colors)};
    struct frame frame = {.plan = &plan};
    enum rc rc = check_picture(picture, err);
    size_t len;

    if (rc != RC_OK) {
        return rc;
    }
    if (picture->map != NULL) {
        bytemap_of(picture->map, &plan.map);
    }
    plan.row_bytes = ((size_t)picture->width * plan.depth + 7) / 8;
    len = (plan.row_bytes + 1) * picture->height;
    if (len > INT32_MAX / 2) {
        return err_set(err, RC_LIMIT, "picture: %zu bytes are too many for one", len);
    }
    /* A row is mapped and packed in place, and needs all its pixels for a moment. */
    rc = make_room(&encoder->rows, &encoder->rows_cap,
                   len + MAX_OF(picture->width, (uint32_t)DEFLATE_RUNS_SLACK), err);
    if (rc != RC_OK) {
        return rc;
    }
    if (plan.depth == 8) {
        lay_bytes(encoder, &plan);
    } else {
        lay_packed(encoder, &plan);
    }
    rc = deflate_rows(encoder, len, &frame.deflated_len, err);
    if (rc != RC_OK) {
        return rc;
    }
    frame.deflated = encoder->deflated;
    return write_frame(&frame, out, err);
}

enum rc pngfile_indexed(const uint8_t *pixels, uint32_t width, uint32_t height, bool flip,
                        const struct pngfile_rgb *palette, unsigned colors,
                        const struct pngfile_text *texts, unsigned text_count, struct strbuf *out,
                        struct err *err)
{
    scoped(pngfile_encoder_free) struct pngfile_encoder *encoder = pngfile_encoder_new();
    struct pngfile_picture picture = {.pixels = pixels,
                                      .width = width,
                                      .height = height,
                                      .flip = flip,
                                      .palette = palette,
                                      .colors = colors,
                                      .texts = texts,
                                      .text_count = text_count};

    return pngfile_encode(encoder, &picture, out, err);
}
