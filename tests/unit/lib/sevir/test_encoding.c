/** @file
 * Encodings: VIL codes to kg/m2 against the values of SEVIR's formula.
 */
#include "tests/unit.h"

#include <math.h>

#include "lib/base/mem.h"
#include "lib/sevir/encoding.h"

static void vil_codes_follow_the_three_pieces_of_the_formula(void **state)
{
    static const struct {
        unsigned code;
        double kg_m2;
    } spots[] = {{0, 0},        {5, 0},         {6, 0.04412},  {18, 0.17648},  {19, 0.18855},
                 {74, 0.77531}, {133, 3.53322}, {160, 7.0731}, {219, 32.2336}, {254, 79.2614}};

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(spots); i++) {
        double got = encoding_vil_kg_m2(spots[i].code);
        assert_true(fabs(got - spots[i].kg_m2) <= 1e-5 * fmax(1, spots[i].kg_m2));
    }
    assert_true(isnan(encoding_vil_kg_m2(255)));
}

static void only_vil_has_a_missing_code_and_areas(void **state)
{
    (void)state;
    for (unsigned type = 0; type < SEVIR_TYPE_COUNT; type++) {
        const struct plane_coding *coding = encoding_of((enum sevir_type)type);
        assert_int_equal(coding->has_missing, type == SEVIR_VIL);
        assert_int_equal(coding->areas, type == SEVIR_VIL);
        assert_true(coding->scale > 0);
    }
    assert_true(encoding_of(SEVIR_VIL)->missing == 255);
    assert_true(encoding_of(SEVIR_VIS)->scale == 1e-4);
    assert_true(encoding_of(SEVIR_IR069)->scale == 1e-2);
}

static void units_are_named(void **state)
{
    (void)state;
    assert_string_equal(encoding_unit(SEVIR_VIS), "reflectance");
    assert_string_equal(encoding_unit(SEVIR_IR107), "\xc2\xb0"
                                                    "C");
    assert_string_equal(encoding_unit(SEVIR_VIL), "VIL code");
    assert_string_equal(encoding_unit(SEVIR_LGHT), "flashes");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vil_codes_follow_the_three_pieces_of_the_formula),
        cmocka_unit_test(only_vil_has_a_missing_code_and_areas),
        cmocka_unit_test(units_are_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
