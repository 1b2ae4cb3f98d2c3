/** @file
 * The comparison with numpy is tests/flow/test_data_numpy.py; here are shapes, edges and the values
 * that can be worked out by hand.
 */
#include "tests/unit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/data/planes.h"

static const struct plane_coding vil = {
    .scale = 1, .has_missing = true, .missing = 255, .areas = true};
static const struct plane_coding plain = {.scale = 1};

static void stats_of(const void *plane, size_t pixels, enum sample sample,
                     const struct plane_coding *coding, struct plane_stats *stats)
{
    size_t bytes = pixels * sample_bytes(sample);
    void *copy = malloc(bytes + 1), *scratch = malloc(plane_scratch_bytes(sample, pixels) + 1);

    memcpy(copy, plane, bytes);
    plane_statistics(copy, pixels, sample, coding, scratch, stats);
    free(copy);
    free(scratch);
}

static void every_pixel_of_every_frame_finds_its_place(void **state)
{
    (void)state;
    static const size_t pixels[] = {1, 2, 7, 15, 16, 63, 64, 65, 200, 256};
    static const size_t frames[] = {1, 2, 3, 5, 15, 16, 17, 19, 25, 32, 49};

    for (size_t bytes = 1; bytes <= 8; bytes *= 2) {
        for (size_t i = 0; i < ARRAY_LEN(pixels) * ARRAY_LEN(frames) * 3; i++) {
            size_t p = pixels[i / 3 % ARRAY_LEN(pixels)];
            size_t f = frames[i / 3 / ARRAY_LEN(pixels)], off = i % 3 * 8;
            uint8_t *from = malloc(p * f * bytes), *block = malloc(p * f * bytes + off);
            uint8_t *to = block + off;

            for (size_t k = 0; k < p * f * bytes; k++) {
                from[k] = (uint8_t)(k * 37 + k / 251);
            }
            planes_transpose(from, to, p, f, bytes);
            for (size_t k = 0; k < p * f; k++) {
                assert_memory_equal(to + (k % f * p + k / f) * bytes, from + k * bytes, bytes);
            }
            free(from);
            free(block);
        }
    }
}

static void some_frames_are_those_of_all(void **state)
{
    (void)state;
    enum { F = 49 };
    static const size_t pixels[] = {1, 2, 63, 64, 65, 256};
    static const size_t ranges[][2] = {{0, 25}, {25, 24}, {48, 1}, {0, 49}, {33, 16}, {3, 7}};

    for (size_t bytes = 1; bytes <= 8; bytes *= 2) {
        for (size_t i = 0; i < ARRAY_LEN(pixels) * ARRAY_LEN(ranges); i++) {
            const size_t p = pixels[i % ARRAY_LEN(pixels)];
            const size_t *range = ranges[i / ARRAY_LEN(pixels)];
            const size_t plane = p * bytes;
            uint8_t *from = malloc(F * plane), *all = malloc(F * plane);
            uint8_t *some = malloc(range[1] * plane);

            for (size_t k = 0; k < F * plane; k++) {
                from[k] = (uint8_t)(k * 37 + k / 251);
            }
            planes_transpose(from, all, p, F, bytes);
            planes_transpose_some(from, some, p, F, range[0], range[1], bytes);
            assert_memory_equal(some, all + range[0] * plane, range[1] * plane);
            free(from);
            free(all);
            free(some);
        }
    }
}

static void large_planes_leave_past_the_cache_and_are_the_same(void **state)
{
    (void)state;
    enum { P = 64 * 700, F = 49 };

    for (size_t bytes = 1; bytes <= 4; bytes *= 2) {
        for (size_t off = 0; off < 64; off += 16) {
            uint8_t *from = malloc((size_t)P * F * bytes);
            uint8_t *block = malloc((size_t)P * F * bytes + off), *to = block + off;

            for (size_t k = 0; k < (size_t)P * F * bytes; k++) {
                from[k] = (uint8_t)(k * 37 + k / 251);
            }
            planes_transpose(from, to, P, F, bytes);
            for (size_t k = 0; k < (size_t)P * F; k += 13) {
                if (memcmp(to + (k % F * P + k / F) * bytes, from + k * bytes, bytes) != 0) {
                    fail_msg("element %zu", k);
                }
            }
            free(from);
            free(block);
        }
    }
}

static void missing_pixels_are_left_out_of_everything(void **state)
{
    (void)state;
    static const uint8_t codes[] = {255, 10, 255, 20, 160, 255};
    struct plane_stats stats;

    stats_of(codes, 6, SAMPLE_U8, &vil, &stats);
    assert_int_equal(stats.pixels, 6);
    assert_int_equal(stats.valid, 3);
    assert_true(stats.min == 10 && stats.max == 160);
    assert_true(fabs(stats.mean - 190.0 / 3) < 1e-12);
    assert_true(stats.percentile[3] == 20);
    assert_true(stats.percentile[2] == 15 && stats.percentile[4] == 90);
    assert_true(stats.area[0] == 2.0 / 3 && stats.area[3] == 1.0 / 3 && stats.area[4] == 0);
}

static void where_nothing_is_valid_there_is_no_number(void **state)
{
    (void)state;
    uint8_t codes[40];
    float floats[3] = {NAN, NAN, NAN};
    struct plane_stats stats;

    memset(codes, 255, sizeof(codes));
    for (unsigned i = 0; i < 3; i++) {
        if (i == 0) {
            stats_of(codes, sizeof(codes), SAMPLE_U8, &vil, &stats);
        } else if (i == 1) {
            stats_of(floats, 3, SAMPLE_F32, &plain, &stats);
        } else {
            stats_of(codes, 0, SAMPLE_I16, &plain, &stats);
        }
        assert_int_equal(stats.valid, 0);
        assert_true(isnan(stats.min) && isnan(stats.max) && isnan(stats.mean) && isnan(stats.std));
        assert_true(isnan(stats.percentile[0]) && isnan(stats.percentile[6]));
        assert_true(isnan(stats.area[0]));
    }
}

static void the_extremes_of_every_type_are_counted_right(void **state)
{
    (void)state;
    static const int8_t i8[] = {-128, 127, 0};
    static const uint16_t u16[] = {65535, 0, 65535};
    static const int16_t i16[] = {-32768, 32767, -1};
    static const int32_t i32[] = {INT32_MIN, INT32_MAX, -1};
    static const uint64_t u64[] = {UINT64_MAX, 0, 1};
    static const int64_t i64[] = {INT64_MIN, INT64_MAX, -1};
    static const struct {
        enum sample sample;
        const void *codes;
        double min, median, max;
    } rows[] = {{SAMPLE_I8, i8, -128, 0, 127},
                {SAMPLE_U16, u16, 0, 65535, 65535},
                {SAMPLE_I16, i16, -32768, -1, 32767},
                {SAMPLE_I32, i32, -2147483648.0, -1, 2147483647},
                {SAMPLE_U64, u64, 0, 1, 18446744073709551616.0},
                {SAMPLE_I64, i64, -9223372036854775808.0, -1, 9223372036854775808.0}};

    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        struct plane_stats stats;

        stats_of(rows[i].codes, 3, rows[i].sample, &plain, &stats);
        assert_true(stats.min == rows[i].min && stats.max == rows[i].max);
        assert_true(stats.percentile[3] == rows[i].median);
    }
}

static void values_are_codes_times_the_scale(void **state)
{
    (void)state;
    static const int16_t codes[] = {-7512, 250, 3};
    const struct plane_coding ir = {.scale = 1e-2};
    struct plane_stats stats;

    stats_of(codes, 3, SAMPLE_I16, &ir, &stats);
    assert_true(stats.min == -7512 * 1e-2 && stats.max == 250 * 1e-2);
    assert_true(stats.percentile[3] == 3 * 1e-2);
    assert_true(isnan(stats.area[0]));
}

static void infinities_are_numbers_and_nan_is_missing(void **state)
{
    (void)state;
    static const float codes[] = {INFINITY, NAN, 2, -INFINITY, 1};
    struct plane_stats stats;

    stats_of(codes, 5, SAMPLE_F32, &plain, &stats);
    assert_int_equal(stats.valid, 4);
    assert_true(stats.min == -INFINITY && stats.max == INFINITY);
    assert_true(isnan(stats.mean) && isnan(stats.std));
    assert_true(stats.percentile[3] == 1.5);
}

static void a_constant_plane_has_no_spread_at_all(void **state)
{
    (void)state;
    static int16_t codes[5000];
    const struct plane_coding vis = {.scale = 1e-4};
    struct plane_stats stats;

    for (unsigned i = 0; i < ARRAY_LEN(codes); i++) {
        codes[i] = 7;
    }
    stats_of(codes, ARRAY_LEN(codes), SAMPLE_I16, &vis, &stats);
    assert_true(stats.std == 0 && stats.min == stats.max && stats.percentile[0] == stats.min);
}

static void runs_of_equal_pixels_count_as_many(void **state)
{
    (void)state;
    static uint8_t codes[16 * 9 + 5];
    struct plane_stats stats;

    memset(codes + 16 * 3, 7, 16 * 3);
    memset(codes + 16 * 6, 255, 16 * 3);
    stats_of(codes, sizeof(codes), SAMPLE_U8, &vil, &stats);
    assert_int_equal(stats.valid, 16 * 6 + 5);
    assert_true(stats.mean == 7.0 * 48 / 101);
}

static void types_are_told_from_the_layout(void **state)
{
    (void)state;
    struct layout_dtype dtype = {LAYOUT_INTEGER, 2, true, true, true, ">i2"};
    enum sample sample;
    struct err err;

    assert_int_equal(sample_of(&dtype, &sample, &err), RC_OK);
    assert_int_equal(sample, SAMPLE_I16);
    dtype = (struct layout_dtype){LAYOUT_FLOAT, 8, true, false, true, "float64"};
    assert_int_equal(sample_of(&dtype, &sample, &err), RC_OK);
    assert_int_equal(sample, SAMPLE_F64);
    dtype = (struct layout_dtype){LAYOUT_FLOAT, 2, true, false, true, "float16"};
    assert_int_equal(sample_of(&dtype, &sample, &err), RC_UNSUPPORTED);
    assert_string_equal(err.text,
                        "values of type 'float16' are not read, only integers and floats of 4 or 8 "
                        "bytes");
    dtype = (struct layout_dtype){LAYOUT_STRING, 8, false, false, true, "S8"};
    assert_int_equal(sample_of(&dtype, &sample, &err), RC_UNSUPPORTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_pixel_of_every_frame_finds_its_place),
        cmocka_unit_test(some_frames_are_those_of_all),
        cmocka_unit_test(large_planes_leave_past_the_cache_and_are_the_same),
        cmocka_unit_test(missing_pixels_are_left_out_of_everything),
        cmocka_unit_test(where_nothing_is_valid_there_is_no_number),
        cmocka_unit_test(the_extremes_of_every_type_are_counted_right),
        cmocka_unit_test(values_are_codes_times_the_scale),
        cmocka_unit_test(infinities_are_numbers_and_nan_is_missing),
        cmocka_unit_test(a_constant_plane_has_no_spread_at_all),
        cmocka_unit_test(runs_of_equal_pixels_count_as_many),
        cmocka_unit_test(types_are_told_from_the_layout),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
