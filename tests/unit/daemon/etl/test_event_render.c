/** @file
 * One event from pixels to rows and pictures, without a daemon around it.
 */
#include "tests/unit.h"

#include "daemon/etl/event_render.h"
#include "lib/base/now.h"

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

/** All that is made of codes of two bytes, as one text. */
static void render_wide(bool spent, struct strbuf *ret_made)
{
    int16_t codes[SIDE * SIDE * FRAMES];
    struct err err;

    for (int i = 0; i < SIDE * SIDE * FRAMES; i++) {
        codes[i] = (int16_t)(i % 5 == 0 ? -32768 : -7000 + 251 * i);
    }
    const struct event_input input = {
        .type = SEVIR_IR069,
        .row = &row,
        .pixels = codes,
        .pixels_spent = spent,
        .sample = SAMPLE_I16,
        .height = SIDE,
        .width = SIDE,
        .frames = FRAMES,
        .images = IMAGES_FRAMES,
        .image_prefix = "images/img_type=ir069/id=S1/",
    };

    assert_int_equal(event_render(&input, &scratch, &output, &err), RC_OK);
    assert_int_equal(output.picture_count, FRAMES + 1);
    strbuf_puts(ret_made, strbuf_text(&output.rows));
    for (unsigned i = 0; i < output.picture_count; i++) {
        strbuf_add(ret_made, output.pictures[i].png.data, output.pictures[i].png.len);
    }
    for (int i = 0; i < SIDE * SIDE * FRAMES && !spent; i++) {
        assert_int_equal(codes[i], i % 5 == 0 ? -32768 : -7000 + 251 * i);
    }
    event_output_reset(&output);
}

static void it_is_the_same_where_pixels_may_be_written_over(void **state)
{
    scoped(strbuf_done) struct strbuf kept = {0}, spent = {0};

    (void)state;
    render_wide(false, &kept);
    render_wide(true, &spent);
    assert_int_equal(kept.len, spent.len);
    assert_memory_equal(kept.data, spent.data, kept.len);
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
        cmocka_unit_test_setup_teardown(it_is_the_same_where_pixels_may_be_written_over, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(used_again_it_gives_the_same, setup, teardown),
    };
    return cmocka_run_group_tests_name("event_render", tests, NULL, NULL);
}
