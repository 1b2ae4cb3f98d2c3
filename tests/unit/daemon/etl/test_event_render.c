/** @file
 * One event from pixels to rows and pictures, without a daemon around it.
 */
#include "tests/unit.h"

#include "daemon/etl/event_render.h"
#include "lib/base/mem.h"
#include "lib/base/now.h"
#include "lib/sevir/colors.h"
#include "lib/sevir/sheet.h"

#define SIDE 4
#define FRAMES 3

static uint8_t pixels[SIDE * SIDE * FRAMES];
static const int16_t offsets[FRAMES] = {-5, 0, 5};
static struct catalog_row row = {
    .id = "S1",
    .file_name = "vil/2019/x.h5",
    .file_index = 7,
    .img_type = SEVIR_VIL,
    .frame_count = FRAMES,
    .minute_offsets = offsets,
    .event_type = "Hail",
};
static struct event_scratch scratch;
static struct event_output output;

static int setup(void **state)
{
    (void)state;
    memset(pixels, 0, sizeof(pixels));
    return !now_parse_utc("2019-12-31 23:58:00", &row.time_utc);
}

static int teardown(void **state)
{
    (void)state;
    event_output_done(&output);
    event_scratch_done(&scratch);
    return 0;
}

static void render(enum conf_images images)
{
    const struct event_input input = {
        .type = SEVIR_VIL,
        .row = &row,
        .pixels = pixels,
        .sample = SAMPLE_U8,
        .height = SIDE,
        .width = SIDE,
        .frames = FRAMES,
        .frames_at_once = FRAMES,
        .images = images,
        .image_prefix = "images/img_type=vil/id=S1/",
    };
    struct err err;

    assert_int_equal(event_render(&input, &scratch, &output, &err), RC_OK);
}

static void a_row_a_frame_with_its_own_time(void **state)
{
    (void)state;
    render(IMAGES_NONE);
    assert_int_equal(output.picture_count, 0);
    assert_non_null(
        strstr(output.rows.data, "S1,vil,0,2019-12-31 23:53:00,-5,vil/2019/x.h5,7,4,4,1,0,0,0,0,"));
    assert_non_null(strstr(output.rows.data, "\nS1,vil,2,2020-01-01 00:03:00,5,"));
}

static void a_frame_without_a_valid_pixel_has_no_numbers(void **state)
{
    (void)state;
    for (unsigned i = 0; i < SIDE * SIDE; i++) {
        pixels[i * FRAMES + 1] = 255;
    }
    render(IMAGES_NONE);
    assert_non_null(
        strstr(output.rows.data,
               "\nS1,vil,1,2019-12-31 23:58:00,0,vil/2019/x.h5,7,4,4,0,,,,,,,,,,,,,,,,,,\n"));
}

static void frames_that_the_catalog_does_not_know_have_no_time(void **state)
{
    (void)state;
    row.frame_count = 1;
    render(IMAGES_NONE);
    row.frame_count = FRAMES;
    assert_non_null(strstr(output.rows.data, "\nS1,vil,2,,,vil/2019/x.h5,"));
}

static void pictures_as_asked_for(void **state)
{
    (void)state;
    render(IMAGES_SHEET);
    assert_int_equal(output.picture_count, 1);
    assert_int_equal(output.pictures[0].kind, OUTPUT_SHEET);
    event_output_reset(&output);
    render(IMAGES_FRAMES);
    assert_int_equal(output.picture_count, FRAMES + 1);
    assert_string_equal(output.pictures[0].key, "images/img_type=vil/id=S1/f00.png");
    assert_string_equal(output.pictures[FRAMES].key, "images/img_type=vil/id=S1/sheet.png");
    assert_memory_equal(output.pictures[1].png.data, "\x89PNG", 4);
    assert_non_null(strstr(output.rows.data, ",images/img_type=vil/id=S1/f02.png\n"));
    event_output_reset(&output);
    render(IMAGES_PACKED);
    assert_int_equal(output.picture_count, 1);
    assert_int_equal(output.pictures[0].kind, OUTPUT_PACKED);
    assert_string_equal(output.pictures[0].key, "images/img_type=vil/id=S1/frames.zip");
    assert_non_null(strstr(output.rows.data, ",images/img_type=vil/id=S1/frames.zip#f02.png\n"));
}

static void used_again_it_gives_the_same(void **state)
{
    (void)state;
    for (unsigned i = 0; i < sizeof(pixels); i++) {
        pixels[i] = (uint8_t)(i * 37);
    }
    render(IMAGES_FRAMES);
    scoped(free) char *rows = str_dup(strbuf_text(&output.rows));
    uint8_t sha256[DIGEST_BYTES];

    memcpy(sha256, output.pictures[2].sha256, sizeof(sha256));
    event_output_reset(&output);
    render(IMAGES_FRAMES);
    assert_string_equal(strbuf_text(&output.rows), rows);
    assert_memory_equal(output.pictures[2].sha256, sha256, sizeof(sha256));
}

/** The sheet of an event of such frames, and the one that is made of the whole of them. */
static void check_sheet_at(uint32_t at_once, enum sevir_type type, enum sample sample,
                           uint32_t height, uint32_t width)
{
    const size_t count = (size_t)height * width;
    const size_t element = sample_bytes(sample);
    scoped(free) uint8_t *codes = mem_resize(NULL, count * FRAMES, element);
    scoped(free) uint8_t *planes = mem_resize(NULL, count * FRAMES, element);
    scoped(free) uint8_t *indices = mem_resize(NULL, count, FRAMES);
    scoped(strbuf_done) struct strbuf expected = {0};
    const uint8_t *frames[FRAMES];
    unsigned numbers[FRAMES];
    struct err err;

    for (size_t i = 0; i < count * FRAMES; i++) {
        const int16_t code = (int16_t)(sample == SAMPLE_U8 ? i * 7 % 251 : i * 97 % 14000 - 7000);

        memcpy(codes + i * element, &code, element); /* the low byte comes first */
    }
    const struct event_input input = {
        .type = type,
        .row = &row,
        .pixels = codes,
        .sample = sample,
        .height = height,
        .width = width,
        .frames = FRAMES,
        .frames_at_once = at_once,
        .images = IMAGES_FRAMES,
        .image_prefix = "images/img_type=x/id=S1/",
    };

    assert_int_equal(event_render(&input, &scratch, &output, &err), RC_OK);
    assert_int_equal(output.picture_count, FRAMES + 1);
    planes_transpose(codes, planes, count, FRAMES, element);
    for (unsigned frame = 0; frame < FRAMES; frame++) {
        frames[frame] = indices + frame * count;
        numbers[frame] = frame;
        colors_map(type, planes + frame * count * element, count, sample, indices + frame * count);
    }
    const struct sheet_options options = {
        .type = type,
        .row = &row,
        .width = width,
        .height = height,
        .frames = frames,
        .frame_numbers = numbers,
        .frame_count = FRAMES,
        .scale_to = MAX_OF(width, height) > 192 ? 192 : 0,
    };

    assert_int_equal(sheet_png(&options, &expected, &err), RC_OK);
    assert_int_equal(output.pictures[FRAMES].png.len, expected.len);
    assert_memory_equal(output.pictures[FRAMES].png.data, expected.data, expected.len);
    event_output_reset(&output);
}

/** Rows and pictures of an event of five frames of two bytes; frame after frame where no planes are
 * to be made. */
static void render_at_once(uint32_t at_once, struct strbuf *ret_made)
{
    enum { COUNT = 5 };
    int16_t codes[SIDE * SIDE * COUNT], frames[SIDE * SIDE * COUNT];
    struct err err;

    for (int i = 0; i < SIDE * SIDE * COUNT; i++) {
        codes[i] = (int16_t)(i % 5 == 0 ? -32768 : -7000 + 151 * i);
    }
    planes_transpose(codes, frames, (size_t)SIDE * SIDE, COUNT, sizeof(codes[0]));

    const struct event_input input = {
        .type = SEVIR_IR069,
        .row = &row,
        .pixels = at_once > 0 ? codes : frames,
        .by_frames = at_once == 0,
        .sample = SAMPLE_I16,
        .height = SIDE,
        .width = SIDE,
        .frames = COUNT,
        .frames_at_once = at_once > 0 ? at_once : COUNT,
        .images = IMAGES_FRAMES,
        .image_prefix = "images/img_type=ir069/id=S1/",
    };

    assert_int_equal(event_render(&input, &scratch, &output, &err), RC_OK);
    assert_int_equal(output.picture_count, COUNT + 1);
    for (int i = 0; at_once == 0 && i < SIDE * SIDE * COUNT; i++) { /* a row may be asked twice */
        assert_int_equal(frames[i % COUNT * SIDE * SIDE + i / COUNT], codes[i]);
    }
    strbuf_puts(ret_made, strbuf_text(&output.rows));
    for (unsigned i = 0; i < output.picture_count; i++) {
        strbuf_add(ret_made, output.pictures[i].png.data, output.pictures[i].png.len);
    }
    event_output_reset(&output);
}

static void it_is_the_same_however_many_frames_are_planes_at_once(void **state)
{
    scoped(strbuf_done) struct strbuf all = {0};

    (void)state;
    render_at_once(0, &all);
    for (uint32_t at_once = 1; at_once <= 5; at_once++) {
        scoped(strbuf_done) struct strbuf some = {0};

        render_at_once(at_once, &some);
        assert_int_equal(some.len, all.len);
        assert_memory_equal(some.data, all.data, all.len);
    }
}

static void check_sheet(enum sevir_type type, enum sample sample, uint32_t height, uint32_t width)
{
    check_sheet_at(FRAMES, type, sample, height, width);
    check_sheet_at(2, type, sample, height, width);
}

static void the_sheet_is_that_of_the_whole_frames(void **state)
{
    (void)state;
    check_sheet(SEVIR_VIL, SAMPLE_U8, 384, 384);
    check_sheet(SEVIR_VIL, SAMPLE_U8, 1, 1);
    check_sheet(SEVIR_VIL, SAMPLE_U8, 201, 307);
    check_sheet(SEVIR_IR107, SAMPLE_I16, 192, 192);
    check_sheet(SEVIR_VIS, SAMPLE_I16, 768, 400);
    check_sheet(SEVIR_IR069, SAMPLE_I16, 3, 900);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_row_a_frame_with_its_own_time, setup, teardown),
        cmocka_unit_test_setup_teardown(a_frame_without_a_valid_pixel_has_no_numbers, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(frames_that_the_catalog_does_not_know_have_no_time, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(pictures_as_asked_for, setup, teardown),
        cmocka_unit_test_setup_teardown(it_is_the_same_however_many_frames_are_planes_at_once,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(the_sheet_is_that_of_the_whole_frames, setup, teardown),
        cmocka_unit_test_setup_teardown(used_again_it_gives_the_same, setup, teardown),
    };
    return cmocka_run_group_tests_name("event_render", tests, NULL, NULL);
}
