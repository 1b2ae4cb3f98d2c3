/** @file
 * What is written is read back by libpng's own reader, index by index.
 */
#include "tests/unit.h"

#include <png.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/data/pngfile.h"

static struct pngfile_rgb palette[256];

static int set_up(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 256; i++) {
        palette[i] = (struct pngfile_rgb){(uint8_t)i, (uint8_t)(i * 7), (uint8_t)(255 - i)};
    }
    return 0;
}

struct source {
    const struct strbuf *file;
    size_t at;
};

static void on_read(png_structp png, png_bytep to, size_t len)
{
    struct source *source = png_get_io_ptr(png);

    assert_true(len <= source->file->len - source->at);
    memcpy(to, source->file->data + source->at, len);
    source->at += len;
}

static void on_complaint(png_structp png, const char *text)
{
    (void)png;
    fail_msg("libpng: %s", text);
    abort();
}

struct decoded {
    uint32_t width, height;
    int depth, colors, texts;
    uint8_t *pixels;
    png_color palette[256];
    char title[64];
};

/** Any warning of libpng's is a failure too. */
static void decode(const struct strbuf *file, struct decoded *decoded)
{
    png_structp png =
        png_create_read_struct(PNG_LIBPNG_VER_STRING, NULL, on_complaint, on_complaint);
    png_infop info = png_create_info_struct(png);
    struct source source = {file, 0};
    png_textp texts;
    png_colorp colors;
    int type;

    png_set_read_fn(png, &source, on_read);
    png_read_info(png, info);
    png_get_IHDR(png, info, &decoded->width, &decoded->height, &decoded->depth, &type, NULL, NULL,
                 NULL);
    assert_int_equal(type, PNG_COLOR_TYPE_PALETTE);
    png_get_PLTE(png, info, &colors, &decoded->colors);
    memcpy(decoded->palette, colors, (size_t)decoded->colors * sizeof(*colors));
    png_set_packing(png);
    decoded->pixels = malloc((size_t)decoded->width * decoded->height);
    for (uint32_t y = 0; y < decoded->height; y++) {
        png_read_row(png, decoded->pixels + (size_t)y * decoded->width, NULL);
    }
    png_read_end(png, info);
    assert_int_equal(source.at, file->len);
    decoded->texts = (int)png_get_text(png, info, &texts, NULL);
    decoded->title[0] = '\0';
    if (decoded->texts > 0) {
        (void)snprintf(decoded->title, sizeof(decoded->title), "%s", texts[0].text);
    }
    png_destroy_read_struct(&png, &info, NULL);
}

/** Written and read back; where `mapped`, the pixels are codes of which many share an index. */
static void check(struct pngfile_encoder *encoder, uint32_t width, uint32_t height, bool flip,
                  unsigned colors, bool mapped)
{
    scoped(strbuf_done) struct strbuf file = {0};
    uint8_t *pixels = malloc((size_t)width * height), map[256];
    struct pngfile_picture picture = {.pixels = pixels,
                                      .map = mapped ? map : NULL,
                                      .width = width,
                                      .height = height,
                                      .flip = flip,
                                      .palette = palette,
                                      .colors = colors};
    struct decoded decoded;
    struct err err;

    for (unsigned code = 0; code < 256; code++) {
        map[code] = (uint8_t)(mapped ? (code / 3 + 1) % colors : code);
    }
    for (size_t i = 0; i < (size_t)width * height; i++) {
        pixels[i] = (uint8_t)((i * i / 3 + i / 11) % (mapped ? 256 : colors));
    }
    assert_int_equal(pngfile_encode(encoder, &picture, &file, &err), RC_OK);
    decode(&file, &decoded);
    assert_int_equal(decoded.width, width);
    assert_int_equal(decoded.height, height);
    assert_int_equal(decoded.colors, colors);
    assert_int_equal(decoded.depth, colors <= 2 ? 1 : colors <= 4 ? 2 : colors <= 16 ? 4 : 8);
    assert_memory_equal(decoded.palette, palette, colors * 3);
    for (size_t i = 0; i < (size_t)width * height; i++) {
        size_t y = flip ? height - 1 - i / width : i / width;

        if (decoded.pixels[i] != map[pixels[y * width + i % width]]) {
            fail_msg("pixel %zu of %ux%u in %u colours", i, width, height, colors);
        }
    }
    free(decoded.pixels);
    free(pixels);
}

static void every_depth_width_and_direction_reads_back(void **state)
{
    (void)state;
    static const unsigned colors[] = {1, 2, 3, 4, 5, 11, 16, 17, 118, 256};
    scoped(pngfile_encoder_free) struct pngfile_encoder *encoder = pngfile_encoder_new();

    for (unsigned c = 0; c < ARRAY_LEN(colors) * 2; c++) {
        for (uint32_t width = 1; width <= 70; width++) {
            check(encoder, width, 1 + width % 5, width % 2 == 0, colors[c / 2], c % 2 == 0);
        }
        check(encoder, 384, 384, true, colors[c / 2], c % 2 == 0);
        check(encoder, 769, 193, false, colors[c / 2], c % 2 == 0);
    }
}

static void a_picture_that_does_not_shrink_is_written_all_the_same(void **state)
{
    (void)state;
    scoped(strbuf_done) struct strbuf file = {0};
    struct decoded decoded;
    uint8_t *pixels = malloc(1000 * 700);
    uint32_t noise = 1;
    struct err err;

    for (size_t i = 0; i < 1000 * 700; i++) {
        noise = noise * 1664525 + 1013904223;
        pixels[i] = (uint8_t)(noise >> 24);
    }
    assert_int_equal(pngfile_indexed(pixels, 1000, 700, false, palette, 256, NULL, 0, &file, &err),
                     RC_OK);
    decode(&file, &decoded);
    assert_memory_equal(decoded.pixels, pixels, 1000 * 700);
    free(decoded.pixels);
    free(pixels);
}

static void the_same_picture_gives_the_same_bytes_whatever_came_before(void **state)
{
    (void)state;
    scoped(strbuf_done) struct strbuf one = {0}, two = {0};
    scoped(pngfile_encoder_free) struct pngfile_encoder *encoder = pngfile_encoder_new();
    uint8_t *pixels = malloc(384 * 384);
    struct pngfile_picture picture = {.pixels = pixels,
                                      .width = 384,
                                      .height = 384,
                                      .flip = true,
                                      .palette = palette,
                                      .colors = 11};
    struct err err;

    for (size_t i = 0; i < 384 * 384; i++) {
        pixels[i] = (uint8_t)(i * i / 977 % 11);
    }
    assert_int_equal(pngfile_indexed(pixels, 384, 384, true, palette, 11, NULL, 0, &one, &err),
                     RC_OK);
    check(encoder, 700, 500, false, 256, true);
    strbuf_puts(&two, "before");
    assert_int_equal(pngfile_encode(encoder, &picture, &two, &err), RC_OK);
    assert_int_equal(two.len, one.len + 6);
    assert_memory_equal(two.data + 6, one.data, one.len);
    free(pixels);
}

static void texts_travel_with_the_picture(void **state)
{
    (void)state;
    static const uint8_t pixel = 0;
    static const struct pngfile_text texts[] = {{"Title", "S797364 vil frame 10"},
                                                {"Comment", "größer"}};
    scoped(strbuf_done) struct strbuf file = {0};
    struct decoded decoded;
    struct err err;

    assert_int_equal(pngfile_indexed(&pixel, 1, 1, false, palette, 1, texts, 2, &file, &err),
                     RC_OK);
    decode(&file, &decoded);
    assert_int_equal(decoded.texts, 2);
    assert_string_equal(decoded.title, "S797364 vil frame 10");
    free(decoded.pixels);
}

static void what_cannot_be_a_picture_is_refused_and_nothing_is_written(void **state)
{
    (void)state;
    static const struct pngfile_text bad = {"", "no keyword"};
    static const uint8_t pixels[] = {0, 1, 2, 3};
    scoped(strbuf_done) struct strbuf file = {0};
    scoped(pngfile_encoder_free) struct pngfile_encoder *encoder = pngfile_encoder_new();
    uint8_t map[256] = {0};
    struct pngfile_picture mapped = {
        .pixels = pixels, .map = map, .width = 2, .height = 2, .palette = palette, .colors = 3};
    struct err err;

    strbuf_puts(&file, "x");
    assert_int_equal(pngfile_indexed(pixels, 2, 2, false, palette, 3, NULL, 0, &file, &err),
                     RC_INVALID);
    assert_string_equal(err.text, "picture: a pixel has none of its 3 colours");
    assert_int_equal(pngfile_indexed(pixels, 0, 2, false, palette, 3, NULL, 0, &file, &err),
                     RC_INVALID);
    assert_int_equal(pngfile_indexed(pixels, 2, 2, false, palette, 0, NULL, 0, &file, &err),
                     RC_INVALID);
    assert_int_equal(pngfile_indexed(pixels, 2, 2, false, palette, 257, NULL, 0, &file, &err),
                     RC_INVALID);
    assert_int_equal(pngfile_indexed(pixels, 2, 2, false, palette, 4, &bad, 1, &file, &err),
                     RC_INVALID);
    map[77] = 3;
    assert_int_equal(pngfile_encode(encoder, &mapped, &file, &err), RC_INVALID);
    assert_string_equal(err.text, "picture: a pixel has none of its 3 colours");
    assert_int_equal(file.len, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_depth_width_and_direction_reads_back),
        cmocka_unit_test(a_picture_that_does_not_shrink_is_written_all_the_same),
        cmocka_unit_test(the_same_picture_gives_the_same_bytes_whatever_came_before),
        cmocka_unit_test(texts_travel_with_the_picture),
        cmocka_unit_test(what_cannot_be_a_picture_is_refused_and_nothing_is_written),
    };

    return cmocka_run_group_tests(tests, set_up, NULL);
}
