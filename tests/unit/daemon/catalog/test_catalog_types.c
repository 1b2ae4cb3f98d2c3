#include "tests/unit.h"

#include "daemon/catalog/catalog_types.h"
#include "lib/base/mem.h"

static enum catalog_type type_of(const char *text)
{
    return catalog_type_of(text, strlen(text), NULL);
}

static void an_integer_is_a_bigint_only_if_it_reads_back_the_same(void **state)
{
    (void)state;
    assert_int_equal(type_of("0"), CATALOG_TYPE_BIGINT);
    assert_int_equal(type_of("-17"), CATALOG_TYPE_BIGINT);
    assert_int_equal(type_of(" 42 "), CATALOG_TYPE_BIGINT);
    assert_int_equal(type_of("9223372036854775807"), CATALOG_TYPE_BIGINT);
    assert_int_equal(type_of("-9223372036854775808"), CATALOG_TYPE_BIGINT);
    assert_int_equal(type_of("9223372036854775808"), CATALOG_TYPE_STRING);
    assert_int_equal(type_of("007"), CATALOG_TYPE_STRING);
    assert_int_equal(type_of("+5"), CATALOG_TYPE_STRING);
    assert_int_equal(type_of("1,000"), CATALOG_TYPE_STRING);
    assert_int_equal(type_of("-"), CATALOG_TYPE_STRING);
}

static void a_double_is_a_decimal_number(void **state)
{
    (void)state;
    assert_int_equal(type_of("1.5"), CATALOG_TYPE_DOUBLE);
    assert_int_equal(type_of(".5"), CATALOG_TYPE_DOUBLE);
    assert_int_equal(type_of("5."), CATALOG_TYPE_DOUBLE);
    assert_int_equal(type_of("-1e-7"), CATALOG_TYPE_DOUBLE);
    assert_int_equal(type_of("138793.0"), CATALOG_TYPE_DOUBLE);
    assert_int_equal(type_of("1e400"), CATALOG_TYPE_STRING);
    assert_int_equal(type_of("01.5"), CATALOG_TYPE_STRING);
    assert_int_equal(type_of("1.5.2"), CATALOG_TYPE_STRING);
    assert_int_equal(type_of("."), CATALOG_TYPE_STRING);
    assert_int_equal(type_of("1e"), CATALOG_TYPE_STRING);
    assert_int_equal(type_of("0x1f"), CATALOG_TYPE_STRING);
    assert_int_equal(type_of("inf"), CATALOG_TYPE_STRING);
    assert_int_equal(type_of("25.00K"), CATALOG_TYPE_STRING);
}

static void a_timestamp_is_iso_8601_and_a_real_date(void **state)
{
    (void)state;
    assert_int_equal(type_of("2019-05-12"), CATALOG_TYPE_TIMESTAMP);
    assert_int_equal(type_of("2019-05-12 18:30"), CATALOG_TYPE_TIMESTAMP);
    assert_int_equal(type_of("2019-05-12T18:30:00Z"), CATALOG_TYPE_TIMESTAMP);
    assert_int_equal(type_of("2019-05-12 18:30:00.125"), CATALOG_TYPE_TIMESTAMP);
    assert_int_equal(type_of("2019-05-12T18:30:00-06:00"), CATALOG_TYPE_TIMESTAMP);
    assert_int_equal(type_of("0001-01-01T01:00:00+01:00"), CATALOG_TYPE_TIMESTAMP);
    assert_int_equal(type_of("0001-01-01T00:59:59+01:00"), CATALOG_TYPE_STRING);
    assert_int_equal(type_of("9999-12-31T23:59:59-00:01"), CATALOG_TYPE_STRING);
    assert_int_equal(type_of("2019-02-29"), CATALOG_TYPE_STRING);
    assert_int_equal(type_of("2019-05-12 25:00"), CATALOG_TYPE_STRING);
    assert_int_equal(type_of("2019-05-12 18:30:00 and more"), CATALOG_TYPE_STRING);
    assert_int_equal(type_of("2019-05-12 18:30:00."), CATALOG_TYPE_STRING);
    assert_int_equal(type_of("30-APR-19 14:52:00"), CATALOG_TYPE_STRING);
    assert_int_equal(type_of("5/12/2019 18:30"), CATALOG_TYPE_STRING);
}

static void an_empty_field_or_a_word_for_nothing_tells_nothing(void **state)
{
    (void)state;
    assert_int_equal(type_of(""), CATALOG_TYPE_NONE);
    assert_int_equal(type_of("  "), CATALOG_TYPE_NONE);
    assert_int_equal(type_of("NaN"), CATALOG_TYPE_NONE);
    assert_int_equal(type_of("N/A"), CATALOG_TYPE_NONE);
    assert_true(catalog_type_is_null(CATALOG_TYPE_DOUBLE, "nan", 3));
    assert_false(catalog_type_is_null(CATALOG_TYPE_STRING, "NA", 2)); /* Namibia */
}

static void widening_is_a_lattice(void **state)
{
    (void)state;
    const enum catalog_type all[] = {CATALOG_TYPE_NONE, CATALOG_TYPE_BIGINT, CATALOG_TYPE_DOUBLE,
                                     CATALOG_TYPE_TIMESTAMP, CATALOG_TYPE_STRING};

    for (unsigned a = 0; a < ARRAY_LEN(all); a++) {
        assert_int_equal(catalog_type_widen(all[a], all[a]), all[a]);
        assert_int_equal(catalog_type_widen(all[a], CATALOG_TYPE_STRING), CATALOG_TYPE_STRING);
        assert_int_equal(catalog_type_widen(all[a], CATALOG_TYPE_NONE), all[a]);
        for (unsigned b = 0; b < ARRAY_LEN(all); b++) {
            enum catalog_type ab = catalog_type_widen(all[a], all[b]);

            assert_int_equal(ab, catalog_type_widen(all[b], all[a]));
            assert_int_equal(catalog_type_widen(ab, all[b]), ab);
            for (unsigned c = 0; c < ARRAY_LEN(all); c++) {
                assert_int_equal(catalog_type_widen(ab, all[c]),
                                 catalog_type_widen(all[a], catalog_type_widen(all[b], all[c])));
            }
        }
    }
    assert_int_equal(catalog_type_widen(CATALOG_TYPE_BIGINT, CATALOG_TYPE_DOUBLE),
                     CATALOG_TYPE_DOUBLE);
    assert_int_equal(catalog_type_widen(CATALOG_TYPE_TIMESTAMP, CATALOG_TYPE_DOUBLE),
                     CATALOG_TYPE_STRING);
}

static void assert_cleans(enum catalog_type type, const char *text, const char *expected)
{
    scoped(strbuf_done) struct strbuf out = {0};

    assert_true(catalog_type_clean(type, text, strlen(text), &out));
    assert_string_equal(strbuf_text(&out), expected);
}

static void cleaning_writes_one_form_of_each_value(void **state)
{
    (void)state;
    assert_cleans(CATALOG_TYPE_BIGINT, " 42", "42");
    assert_cleans(CATALOG_TYPE_DOUBLE, "1.50", "1.5");
    assert_cleans(CATALOG_TYPE_DOUBLE, "NaN", "");
    assert_cleans(CATALOG_TYPE_TIMESTAMP, "2019-05-12", "2019-05-12 00:00:00");
    assert_cleans(CATALOG_TYPE_TIMESTAMP, "2019-05-12T18:30Z", "2019-05-12 18:30:00");
    assert_cleans(CATALOG_TYPE_TIMESTAMP, "2019-05-12T18:30:00.120-06:00",
                  "2019-05-13 00:30:00.12");
    assert_cleans(CATALOG_TYPE_STRING, " as it is ", " as it is ");
    assert_cleans(CATALOG_TYPE_STRING, "NA", "NA");
}

static void cleaning_refuses_what_is_of_another_type(void **state)
{
    (void)state;
    scoped(strbuf_done) struct strbuf out = {0};

    assert_false(catalog_type_clean(CATALOG_TYPE_BIGINT, "1.5", 3, &out));
    assert_false(catalog_type_clean(CATALOG_TYPE_BIGINT, "x", 1, &out));
    assert_false(catalog_type_clean(CATALOG_TYPE_DOUBLE, "1\0005", 3, &out));
    assert_false(catalog_type_clean(CATALOG_TYPE_TIMESTAMP, "12", 2, &out));
    assert_int_equal(out.len, 0);
}

static void an_integer_that_a_double_cannot_hold_is_not_exact(void **state)
{
    (void)state;
    bool exact;

    catalog_type_of("9007199254740992", 16, &exact);
    assert_true(exact);
    catalog_type_of("9007199254740993", 16, &exact);
    assert_false(exact);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_integer_is_a_bigint_only_if_it_reads_back_the_same),
        cmocka_unit_test(a_double_is_a_decimal_number),
        cmocka_unit_test(a_timestamp_is_iso_8601_and_a_real_date),
        cmocka_unit_test(an_empty_field_or_a_word_for_nothing_tells_nothing),
        cmocka_unit_test(widening_is_a_lattice),
        cmocka_unit_test(cleaning_writes_one_form_of_each_value),
        cmocka_unit_test(cleaning_refuses_what_is_of_another_type),
        cmocka_unit_test(an_integer_that_a_double_cannot_hold_is_not_exact),
    };
    return cmocka_run_group_tests_name("catalog_types", tests, NULL, NULL);
}
