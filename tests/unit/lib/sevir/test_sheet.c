/** @file
 * Contact sheets, read back with libpng.
 */
#include "tests/unit.h"

#include <png.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/sevir/font.h"
#include "lib/sevir/sheet.h"

struct picture {
    png_image image;
    uint8_t *rgb;
};

static const int16_t minutes[] = {-5, 0, 5};
static const struct catalog_row event = {.id = "S858968",
                                         .file_name = "vil/2019/A.h5",
                                         .file_index = 7,
                                         .img_type = SEVIR_VIL,
                                         .time_utc = 1568750040,
                                         .frame_count = 3,
                                         .minute_offsets = minutes,
                                         .event_type = "Hail",
                                         .llcrnrlat = 46.16780482213778,
                                         .llcrnrlon = -94.76080555833984,
                                         .urcrnrlat = 49.388668178827686,
                                         .urcrnrlon = -89.26312111773504,
                                         .size_x = 2,
                                         .size_y = 2,
                                         .height_m = 384000,
                                         .width_m = 384000};

/** A sheet of `count` frames of 2 x 2 pixels: south row codes 0, 100; north row 255, 254. */
static struct picture make(enum sevir_type type, unsigned count, const struct catalog_row *row)
{
    static const uint8_t codes[] = {0, 100, 255, 254};
    uint8_t indices[4];
    scoped(free) const uint8_t **frames = mem_resize(NULL, count, sizeof(*frames));
    scoped(free) unsigned *numbers = mem_resize(NULL, count, sizeof(*numbers));
    struct strbuf png = {0};
    struct err err;
    struct picture picture = {.image = {.version = PNG_IMAGE_VERSION}};

    colors_map(type, codes, 4, SAMPLE_U8, indices);
    for (unsigned i = 0; i < count; i++) {
        frames[i] = indices;
        numbers[i] = i;
    }
    struct sheet_options options = {.type = type,
                                    .row = row,
                                    .title = "A.h5 [7]",
                                    .width = 2,
                                    .height = 2,
                                    .frames = frames,
                                    .frame_numbers = numbers,
                                    .frame_count = count};
    assert_int_equal(sheet_png(&options, &png, &err), RC_OK);
    assert_true(png_image_begin_read_from_memory(&picture.image, png.data, png.len));
    assert_int_equal(picture.image.format & PNG_FORMAT_FLAG_COLORMAP, PNG_FORMAT_FLAG_COLORMAP);
    picture.image.format = PNG_FORMAT_RGB;
    picture.rgb = mem_zeroed(PNG_IMAGE_SIZE(picture.image));
    assert_true(png_image_finish_read(&picture.image, NULL, picture.rgb, 0, NULL));
    strbuf_done(&png);
    return picture;
}

static unsigned at(const struct picture *picture, unsigned x, unsigned y)
{
    const uint8_t *rgb = picture->rgb + 3 * ((size_t)y * picture->image.width + x);

    return (unsigned)rgb[0] << 16 | (unsigned)rgb[1] << 8 | rgb[2];
}

/** The corner of the first frame: its thin line begins one pixel before. */
static void find_frame(const struct picture *picture, unsigned *ret_x, unsigned *ret_y)
{
    for (unsigned y = 0; y < picture->image.height; y++) {
        for (unsigned x = 0; x < picture->image.width; x++) {
            if (at(picture, x, y) == 0x808080) {
                *ret_x = x + 1;
                *ret_y = y + 1;
                return;
            }
        }
    }
    fail_msg("no frame");
}

static void frames_stand_north_up_in_the_colours_of_the_table(void **state)
{
    unsigned x = 0, y = 0;
    struct picture picture = make(SEVIR_VIL, 1, &event);

    (void)state;
    find_frame(&picture, &x, &y); /* 2 x 2 pixels are enlarged to 96 x 96 */
    assert_int_equal(at(&picture, x, y), 0x000000);
    assert_int_equal(at(&picture, x + 48, y + 47), 0xa00000);
    assert_int_equal(at(&picture, x + 47, y + 48), 0x4d4d4d);
    assert_int_equal(at(&picture, x + 95, y + 95), 0x0a4b0a);
    free(picture.rgb);
}

/** Codes 0 to 255, as frames of 16 x 16. */
static void a_sheet_of_codes_and_a_table_is_that_of_indices(void **state)
{
    struct pngfile_encoder *encoder = pngfile_encoder_new();
    uint8_t codes[256], indices[256];
    const unsigned number = 0;
    struct err err;

    (void)state;
    for (unsigned code = 0; code < 256; code++) {
        codes[code] = (uint8_t)code;
    }
    for (unsigned type = 0; type < SEVIR_TYPE_COUNT; type++) {
        const uint8_t *by_index = indices, *by_code = codes;
        scoped(strbuf_done) struct strbuf expected = {0};
        scoped(strbuf_done) struct strbuf png = {0};
        struct sheet_options options = {.type = (enum sevir_type)type,
                                        .title = "codes",
                                        .width = 16,
                                        .height = 16,
                                        .frames = &by_index,
                                        .frame_numbers = &number,
                                        .frame_count = 1};

        colors_map(options.type, codes, 256, SAMPLE_U8, indices);
        assert_int_equal(sheet_png(&options, &expected, &err), RC_OK);
        options.frames = &by_code;
        options.map = colors_bytes(options.type);
        options.encoder = encoder;
        assert_int_equal(sheet_png(&options, &png, &err), RC_OK);
        assert_int_equal(png.len, expected.len);
        assert_memory_equal(png.data, expected.data, expected.len);
    }
    pngfile_encoder_free(encoder);
}

static void every_type_has_a_sheet_with_and_without_its_row(void **state)
{
    (void)state;
    for (unsigned type = 0; type < SEVIR_TYPE_COUNT; type++) {
        struct picture with = make((enum sevir_type)type, 3, &event);
        struct picture without = make((enum sevir_type)type, 3, NULL);
        assert_true(with.image.height > without.image.height); /* a shorter title */
        free(with.rgb);
        free(without.rgb);
    }
}

static void many_frames_make_a_square_grid(void **state)
{
    struct picture one = make(SEVIR_VIL, 1, &event), many = make(SEVIR_VIL, 49, &event);

    (void)state;
    assert_in_range(many.image.width, 7 * 96, 7 * 130 + 100);
    assert_true(many.image.height > one.image.height + 5 * 96);
    free(one.rgb);
    free(many.rgb);
}

static void the_same_frames_give_the_same_bytes(void **state)
{
    struct picture a = make(SEVIR_IR107, 3, &event), b = make(SEVIR_IR107, 3, &event);

    (void)state;
    assert_int_equal(a.image.width, b.image.width);
    assert_memory_equal(a.rgb, b.rgb, PNG_IMAGE_SIZE(a.image));
    free(a.rgb);
    free(b.rgb);
}

static void what_cannot_be_drawn_is_refused(void **state)
{
    static const uint8_t pixel = 0;
    const uint8_t *frame = &pixel;
    unsigned number = 0;
    struct strbuf png = {0};
    struct err err;
    struct sheet_options none = {.type = SEVIR_VIL, .width = 1, .height = 1};
    struct sheet_options huge = {.type = SEVIR_VIL,
                                 .width = 1,
                                 .height = 1,
                                 .frames = &frame,
                                 .frame_numbers = &number,
                                 .frame_count = 1,
                                 .scale_to = 70000};

    (void)state;
    assert_int_equal(sheet_png(&none, &png, &err), RC_INVALID);
    assert_int_equal(sheet_png(&huge, &png, &err), RC_LIMIT);
    assert_int_equal(png.len, 0);
}

static unsigned ink_at(const char *text, unsigned scale)
{
    uint8_t pixels[64 * 32] = {0};
    struct font_canvas canvas = {.pixels = pixels, .width = 64, .height = 32};
    unsigned count = 0;

    font_draw(&canvas, 0, 0, scale, 1, text);
    for (unsigned i = 0; i < sizeof(pixels); i++) {
        count += pixels[i];
    }
    return count;
}

static unsigned ink(const char *text)
{
    return ink_at(text, 1);
}

/** A straight stroke grows as it is; a slanted one gains at its steps. */
static void larger_letters_keep_straight_strokes_and_smooth_slanted_ones(void **state)
{
    (void)state;
    assert_int_equal(ink_at("-", 2), 4 * ink("-"));
    assert_int_equal(ink_at("|", 3), 9 * ink("|"));
    assert_int_not_equal(ink_at("/", 2), 4 * ink("/"));
    assert_int_not_equal(ink_at("O", 3), 9 * ink("O"));
}

static void the_font_has_all_of_ascii_and_three_signs_more(void **state)
{
    (void)state;
    for (char c = '!'; c <= '~'; c++) {
        char text[2] = {c, '\0'};
        assert_in_range(ink(text), 2, 40);
    }
    assert_int_equal(font_width("5\u00b0C\u00b2\u00b5"), 5 * FONT_WIDTH);
    assert_int_not_equal(ink("\u00b0"), ink("?"));
    assert_int_equal(ink("\u20ac"), ink("?")); /* a sign that it lacks */
    assert_int_equal(ink("\xc2"), ink("?"));   /* a character cut short */
}

static void text_is_cut_at_the_edge_of_the_canvas(void **state)
{
    uint8_t pixels[4 * 4] = {0};
    struct font_canvas canvas = {.pixels = pixels, .width = 4, .height = 4};

    (void)state;
    font_draw(&canvas, 2, 2, 3, 1, "MMMM");
    font_draw(&canvas, 0, 400, 1, 1, "M");
    font_draw(&canvas, 400, 0, 1, 1, "M");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_stand_north_up_in_the_colours_of_the_table),
        cmocka_unit_test(a_sheet_of_codes_and_a_table_is_that_of_indices),
        cmocka_unit_test(every_type_has_a_sheet_with_and_without_its_row),
        cmocka_unit_test(many_frames_make_a_square_grid),
        cmocka_unit_test(the_same_frames_give_the_same_bytes),
        cmocka_unit_test(what_cannot_be_drawn_is_refused),
        cmocka_unit_test(the_font_has_all_of_ascii_and_three_signs_more),
        cmocka_unit_test(larger_letters_keep_straight_strokes_and_smooth_slanted_ones),
        cmocka_unit_test(text_is_cut_at_the_edge_of_the_canvas),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
