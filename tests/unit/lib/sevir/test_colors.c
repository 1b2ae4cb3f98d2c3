/** @file
 * Colours: spot values of every table, its edges, and one answer for all kinds of samples.
 */
#include "tests/unit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/sevir/colors.h"

static unsigned color(enum sevir_type type, double code)
{
    const struct colors *colors = colors_of(type);
    uint8_t index = colors_index(type, code);

    assert_true(index < colors->count);
    const struct pngfile_rgb *rgb = &colors->palette[index];
    return (unsigned)rgb->r << 16 | (unsigned)rgb->g << 8 | rgb->b;
}

static void vil_has_levels(void **state)
{
    (void)state;
    assert_int_equal(color(SEVIR_VIL, 0), 0x4d4d4d);
    assert_int_equal(color(SEVIR_VIL, 15), 0x4d4d4d);
    assert_int_equal(color(SEVIR_VIL, 30), 0x4d4d4d);
    assert_int_equal(color(SEVIR_VIL, 31), 0x28be28);
    assert_int_equal(color(SEVIR_VIL, 58), 0x28be28);
    assert_int_equal(color(SEVIR_VIL, 59), 0x199619);
    assert_int_equal(color(SEVIR_VIL, 74), 0x0a690a);
    assert_int_equal(color(SEVIR_VIL, 100), 0x0a4b0a);
    assert_int_equal(color(SEVIR_VIL, 133), 0xf5f500);
    assert_int_equal(color(SEVIR_VIL, 160), 0xedac00);
    assert_int_equal(color(SEVIR_VIL, 181), 0xf06e00);
    assert_int_equal(color(SEVIR_VIL, 219), 0xa00000);
    assert_int_equal(color(SEVIR_VIL, 254), 0xa00000);
}

static void missing_is_black_and_beyond_missing_is_over(void **state)
{
    (void)state;
    assert_int_equal(color(SEVIR_VIL, 255), 0x000000);
    assert_int_equal(color(SEVIR_VIL, NAN), 0x000000);
    assert_int_equal(color(SEVIR_VIL, 256), 0xe700ff);
    assert_int_equal(color(SEVIR_VIL, -1), 0x4d4d4d);
    for (unsigned type = 0; type < SEVIR_TYPE_COUNT; type++) {
        assert_int_equal(color((enum sevir_type)type, NAN), 0x000000);
    }
}

static void vis_has_levels_of_reflectance(void **state)
{
    (void)state;
    assert_int_equal(color(SEVIR_VIS, -31), 0x000000);
    assert_int_equal(color(SEVIR_VIS, 199), 0x000000);
    assert_int_equal(color(SEVIR_VIS, 200), 0x0a0a0a);
    assert_int_equal(color(SEVIR_VIS, 1400), 0x3c3c3c); /* 0.14 * 1e4 is above 1400 */
    assert_int_equal(color(SEVIR_VIS, 1401), 0x464646);
    assert_int_equal(color(SEVIR_VIS, 1600), 0x505050);
    assert_int_equal(color(SEVIR_VIS, 9999), 0xfafafa);
    assert_int_equal(color(SEVIR_VIS, 32767), 0xfafafa);
}

static void infrared_is_linear_between_its_ends(void **state)
{
    (void)state;
    assert_int_equal(color(SEVIR_IR069, -32768), 0xff0000);
    assert_int_equal(color(SEVIR_IR069, -8000), 0xff0000);
    assert_int_equal(color(SEVIR_IR069, -7940), 0xff0800); /* 60 / 7000 * 118 = 1.01 */
    assert_int_equal(color(SEVIR_IR069, -4500), 0xc7dfc7); /* exactly 59 */
    assert_int_equal(color(SEVIR_IR069, -1000), 0xffffff);
    assert_int_equal(color(SEVIR_IR069, 3000), 0xffffff);
    assert_int_equal(color(SEVIR_IR107, -7000), 0x000080);
    assert_int_equal(color(SEVIR_IR107, -32768), 0x000080);
    assert_int_equal(color(SEVIR_IR107, 2000), 0x800000);
    assert_int_equal(color(SEVIR_IR107, 1999), 0x800000);
    assert_int_equal(color(SEVIR_IR107, INFINITY), 0x800000);
    assert_int_equal(color(SEVIR_LGHT, 0), 0x0b0000);
    assert_int_equal(color(SEVIR_LGHT, 5), 0xffffff);
    assert_int_equal(color(SEVIR_LGHT, 500), 0xffffff);
}

static void no_palette_holds_a_colour_twice(void **state)
{
    (void)state;
    for (unsigned type = 0; type < SEVIR_TYPE_COUNT; type++) {
        const struct colors *colors = colors_of((enum sevir_type)type);
        assert_in_range(colors->count, 1, 256);
        for (unsigned i = 0; i < colors->count; i++) {
            for (unsigned j = 0; j < i; j++) {
                assert_memory_not_equal(&colors->palette[i], &colors->palette[j],
                                        sizeof(colors->palette[0]));
            }
        }
    }
}

#define CHECK_SAMPLES(T, SAMPLE)                                                                 \
    do {                                                                                         \
        T plane[] = {(T)0, (T)17, (T)100, (T)120};                                               \
        uint8_t indices[4];                                                                      \
        colors_map((enum sevir_type)type, plane, 4, SAMPLE, indices);                            \
        for (unsigned i = 0; i < 4; i++) {                                                       \
            assert_int_equal(indices[i], colors_index((enum sevir_type)type, (double)plane[i])); \
        }                                                                                        \
    } while (0)

static void all_kinds_of_samples_are_mapped_alike(void **state)
{
    (void)state;
    for (unsigned type = 0; type < SEVIR_TYPE_COUNT; type++) {
        CHECK_SAMPLES(uint8_t, SAMPLE_U8);
        CHECK_SAMPLES(int8_t, SAMPLE_I8);
        CHECK_SAMPLES(uint16_t, SAMPLE_U16);
        CHECK_SAMPLES(int16_t, SAMPLE_I16);
        CHECK_SAMPLES(uint32_t, SAMPLE_U32);
        CHECK_SAMPLES(int32_t, SAMPLE_I32);
        CHECK_SAMPLES(uint64_t, SAMPLE_U64);
        CHECK_SAMPLES(int64_t, SAMPLE_I64);
        CHECK_SAMPLES(float, SAMPLE_F32);
        CHECK_SAMPLES(double, SAMPLE_F64);
    }
}

static void the_tables_of_8_and_16_bit_codes_are_the_rule_itself(void **state)
{
    (void)state;
    for (unsigned type = 0; type < SEVIR_TYPE_COUNT; type++) {
        for (int code = INT16_MIN; code <= INT16_MAX; code++) {
            int16_t plane = (int16_t)code;
            uint8_t index;
            colors_map((enum sevir_type)type, &plane, 1, SAMPLE_I16, &index);
            if (index != colors_index((enum sevir_type)type, code)) {
                fail_msg("type %u code %d", type, code);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vil_has_levels),
        cmocka_unit_test(missing_is_black_and_beyond_missing_is_over),
        cmocka_unit_test(vis_has_levels_of_reflectance),
        cmocka_unit_test(infrared_is_linear_between_its_ends),
        cmocka_unit_test(no_palette_holds_a_colour_twice),
        cmocka_unit_test(all_kinds_of_samples_are_mapped_alike),
        cmocka_unit_test(the_tables_of_8_and_16_bit_codes_are_the_rule_itself),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
