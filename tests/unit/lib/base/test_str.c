/** @file
 * Buffers, encodings and strict numbers.
 */
#include "tests/unit.h"

#include <float.h>
#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"

static void a_buffer_grows_and_stays_terminated(void **state)
{
    scoped(strbuf_done) struct strbuf buf = {0};

    assert_string_equal(strbuf_text(&buf), "");
    for (int i = 0; i < 1000; i++) {
        strbuf_printf(&buf, "%d,", i);
        assert_int_equal(buf.data[buf.len], '\0');
    }
    assert_int_equal(buf.len, 3890);
    strbuf_reset(&buf);
    assert_string_equal(strbuf_text(&buf), "");
    strbuf_printf(&buf, "%0300d", 1);
    assert_int_equal(buf.len, 300);
}

static void taking_an_empty_buffer_gives_an_empty_string(void **state)
{
    struct strbuf buf = {0};
    scoped(free) char *nothing = strbuf_take(&buf);
    scoped(free) char *something = NULL;

    assert_string_equal(nothing, "");
    strbuf_putc(&buf, 'x');
    something = strbuf_take(&buf);
    assert_string_equal(something, "x");
    assert_null(buf.data);
}

static void assert_json(const char *text, const char *wanted)
{
    scoped(strbuf_done) struct strbuf buf = {0};

    strbuf_json(&buf, text);
    assert_string_equal(strbuf_text(&buf), wanted);
}

static void json_strings_are_escaped_and_always_utf8(void **state)
{
    assert_json("", "\"\"");
    assert_json("a\"b\\c\n\r\t\x01\x7F", "\"a\\\"b\\\\c\\n\\r\\t\\u0001\\u007f\"");
    assert_json("gr\xC3\xB6\xC3\x9F", "\"gr\xC3\xB6\xC3\x9F\"");
    assert_json("\xFFz\xC3", "\"\xEF\xBF\xBDz\xEF\xBF\xBD\"");
}

static void utf8_refuses_overlong_surrogates_and_what_is_out_of_range(void **state)
{
    assert_true(str_is_utf8("\xF0\x9F\x8C\xA9 \xE2\x82\xAC", 8));
    assert_false(str_is_utf8("\xC0\xAF", 2));
    assert_false(str_is_utf8("\xE0\x80\xAF", 3));
    assert_false(str_is_utf8("\xED\xA0\x80", 3));
    assert_false(str_is_utf8("\xF4\x90\x80\x80", 4));
    assert_false(str_is_utf8("\xE2\x82", 2));
    assert_true(str_is_utf8("", 0));
}

static void assert_csv(const char *text, const char *wanted)
{
    scoped(strbuf_done) struct strbuf buf = {0};

    strbuf_csv(&buf, text, strlen(text));
    assert_string_equal(strbuf_text(&buf), wanted);
}

static void csv_fields_are_quoted_only_when_they_must_be(void **state)
{
    assert_csv("plain", "plain");
    assert_csv("", "");
    assert_csv("a b", "a b");
    assert_csv("a,b", "\"a,b\"");
    assert_csv("say \"x\"", "\"say \"\"x\"\"\"");
    assert_csv("two\nlines", "\"two\nlines\"");
    assert_csv(" lead", "\" lead\"");
}

static void what_could_forge_a_log_line_is_escaped(void **state)
{
    scoped(strbuf_done) struct strbuf buf = {0};

    strbuf_printable(&buf, "a\nb\x1b[2J\xFF\xC2\x9B\xE2\x80\xAEz\xC3\xB6");
    assert_string_equal(strbuf_text(&buf), "a\\nb\\x1b[2J\\xff\\xc2\\x9b\\xe2\\x80\\xaez\xC3\xB6");
}

static void assert_double(double value, const char *wanted)
{
    scoped(strbuf_done) struct strbuf buf = {0};

    strbuf_double(&buf, value);
    assert_string_equal(strbuf_text(&buf), wanted);
}

static void doubles_are_short_and_exact(void **state)
{
    assert_double(0.1, "0.1");
    assert_double(1.0 / 3, "0.3333333333333333");
    assert_double(0.1 + 0.2, "0.30000000000000004");
    assert_double(100, "100");
    assert_double(-0.0, "-0");
    assert_double(5e-324, "5e-324");
    assert_double(1.7976931348623157e308, "1.7976931348623157e+308");
    assert_double(NAN, "");
}

static void every_double_reads_back(void **state)
{
    uint64_t bits = 1;

    for (int i = 0; i < 20000; i++) {
        scoped(strbuf_done) struct strbuf buf = {0};
        double value, again;

        bits = bits * 6364136223846793005u + 1442695040888963407u;
        memcpy(&value, &bits, sizeof(value));
        if (isnan(value) || isinf(value)) {
            continue;
        }
        strbuf_double(&buf, value);
        assert_true(str_to_double(strbuf_text(&buf), &again));
        assert_memory_equal(&value, &again, sizeof(value));
    }
}

/** What printf() and strtod() of the C library make of it, tried with ever more digits. */
static void shortest(double value, char ret_text[40])
{
    for (int digits = 15; digits <= 17; digits++) {
        (void)snprintf(ret_text, 40, "%.*g", digits, value);
        if (strtod(ret_text, NULL) == value) {
            return;
        }
    }
}

static void check_against_the_library(double value)
{
    double again = 0;
    char text[40];

    shortest(value, text);
    assert_double(value, text);
    assert_true(str_to_double(text, &again) && again == value);
}

static void doubles_are_written_as_the_library_would(void **state)
{
    uint64_t bits = 1;

    for (int power = -6; power <= 17; power++) {
        double value = pow(10, power);

        for (int i = 0; i < 50; i++) {
            check_against_the_library(value);
            check_against_the_library(-value);
            value = nextafter(value, i < 25 ? INFINITY : 0);
        }
    }
    for (int exponent = -20; exponent <= 60; exponent++) {
        check_against_the_library(ldexp(1, exponent));
        check_against_the_library(ldexp(1, exponent) * (1 - DBL_EPSILON / 2));
        check_against_the_library(ldexp(1, exponent) * (1 + DBL_EPSILON));
    }
    for (int i = 0; i < 100000; i++) {
        bits = bits * 6364136223846793005u + 1442695040888963407u;
        const double value = (double)(bits >> 11) / (1ull << 53);

        check_against_the_library(value * pow(10, (int)(bits % 23) - 6));
        check_against_the_library((double)(float)(value * 180)); /* of 24 bits, as flashes have */
    }
}

static void decimals_are_read_as_the_library_would(void **state)
{
    static const char *const edges[] = {
        "9007199254740993",
        "9007199254740992.5",
        "9007199254740993.0",
        "0.500000000000000166",
        "9999999999999999999",
        "0.9999999999999999999",
        "18446744073709551615",
        "1.00000000000000011102",
        "4503599627370497.5",
        "4503599627370496.5",
        "0.0000000000000000001",
        "+12.50",
        "-0.0",
        "0",
        "00012.5",
    };
    uint64_t bits = 1;

    for (size_t i = 0; i < ARRAY_LEN(edges); i++) {
        double value;

        assert_true(str_to_double(edges[i], &value));
        assert_true(value == strtod(edges[i], NULL));
        assert_true(!signbit(value) == !signbit(strtod(edges[i], NULL)));
    }
    for (int i = 0; i < 100000; i++) {
        char text[48];
        double value;

        bits = bits * 6364136223846793005u + 1442695040888963407u;
        const unsigned whole = (unsigned)(bits >> 40) >> bits % 24;
        const int places = 1 + (int)((bits >> 33) % 19);

        bits = bits * 6364136223846793005u + 1442695040888963407u;
        (void)snprintf(text, sizeof(text), "%u.%0*" PRIu64, whole, places,
                       bits % (uint64_t)pow(10, places));
        assert_true(str_to_double(text, &value));
        assert_true(value == strtod(text, NULL));
    }
}

static void numbers_do_not_depend_on_the_locale(void **state)
{
    double value;

    if (setlocale(LC_ALL, "de_DE.UTF-8") == NULL) {
        skip();
    }
    assert_double(1.5, "1.5");
    assert_true(str_to_double("2.5", &value));
    setlocale(LC_ALL, "C");
    assert_true(value == 2.5);
}

static void integers_are_the_whole_text(void **state)
{
    uint64_t u = 7;
    int64_t i = 7;

    assert_true(str_to_u64("18446744073709551615", &u));
    assert_true(u == UINT64_MAX);
    assert_false(str_to_u64("18446744073709551616", &u));
    assert_false(str_to_u64("", &u));
    assert_false(str_to_u64("+1", &u));
    assert_false(str_to_u64(" 1", &u));
    assert_false(str_to_u64("1 ", &u));
    assert_false(str_to_u64("0x10", &u));
    assert_true(u == UINT64_MAX); /* Untouched by failures. */
    assert_true(str_to_i64("-9223372036854775808", &i));
    assert_true(i == INT64_MIN);
    assert_true(str_to_i64("9223372036854775807", &i));
    assert_false(str_to_i64("9223372036854775808", &i));
    assert_false(str_to_i64("-9223372036854775809", &i));
    assert_false(str_to_i64("-", &i));
    assert_false(str_to_i64("--1", &i));
}

static void doubles_are_decimal_only(void **state)
{
    static const char *const wrong[] = {"",    "nan", "inf", "-inf", "0x1p3", "1e",   "e1", ".",
                                        "1e+", " 1",  "1 ",  "1,5",  "1e999", "1..2", "+-1"};
    double value = 7;

    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        assert_false(str_to_double(wrong[i], &value));
    }
    assert_true(value == 7);
    assert_true(str_to_double("-1.25e2", &value) && value == -125);
    assert_true(str_to_double(".5", &value) && value == 0.5);
    assert_true(str_to_double("5.", &value) && value == 5);
    assert_true(str_to_double("1e-999", &value) && value == 0);
}

static void sizes_and_times_have_units(void **state)
{
    uint64_t bytes;
    int64_t ms;

    assert_true(str_to_bytes("512MiB", &bytes) && bytes == UINT64_C(512) << 20);
    assert_true(str_to_bytes("10", &bytes) && bytes == 10);
    assert_true(str_to_bytes("3kB", &bytes) && bytes == 3000);
    assert_false(str_to_bytes("18446744073709551615KiB", &bytes));
    assert_false(str_to_bytes("MiB", &bytes));
    assert_false(str_to_bytes("1 MiB", &bytes));
    assert_false(str_to_bytes("-1", &bytes));
    assert_true(str_to_ms("500ms", &ms) && ms == 500);
    assert_true(str_to_ms("1d", &ms) && ms == 86400000);
    assert_false(str_to_ms("30", &ms));
    assert_false(str_to_ms("1.5s", &ms));
    assert_false(str_to_ms("9223372036854775807s", &ms));
}

static void sizes_are_shown_in_decimal_units(void **state)
{
    char text[24];

    assert_string_equal(str_from_bytes(0, text), "0 B");
    assert_string_equal(str_from_bytes(999, text), "999 B");
    assert_string_equal(str_from_bytes(1000, text), "1.0 kB");
    assert_string_equal(str_from_bytes(7200000, text), "7.2 MB");
    assert_string_equal(str_from_bytes(999999, text), "1.0 MB");
    assert_string_equal(str_from_bytes(UINT64_MAX, text), "18.4 EB");
}

static void near_words_have_a_small_distance(void **state)
{
    char longer[80];

    memset(longer, 'a', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    assert_int_equal(str_distance("kitten", "sitting"), 3);
    assert_int_equal(str_distance("", "abc"), 3);
    assert_int_equal(str_distance("same", "same"), 0);
    assert_int_equal(str_distance("state_dri", "state_dir"), 2);
    assert_int_equal(str_distance(longer, "a"), 1000);
}

static void parts_of_strings(void **state)
{
    assert_true(str_starts("file:///x", "file://"));
    assert_false(str_starts("fi", "file"));
    assert_true(str_ends("a.h5", ".h5"));
    assert_false(str_ends("h5", ".h5"));
    assert_string_equal(str_basename("a/b/c"), "c");
    assert_string_equal(str_basename("c"), "c");
    assert_string_equal(str_basename("a/"), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_buffer_grows_and_stays_terminated),
        cmocka_unit_test(taking_an_empty_buffer_gives_an_empty_string),
        cmocka_unit_test(json_strings_are_escaped_and_always_utf8),
        cmocka_unit_test(utf8_refuses_overlong_surrogates_and_what_is_out_of_range),
        cmocka_unit_test(csv_fields_are_quoted_only_when_they_must_be),
        cmocka_unit_test(what_could_forge_a_log_line_is_escaped),
        cmocka_unit_test(doubles_are_short_and_exact),
        cmocka_unit_test(every_double_reads_back),
        cmocka_unit_test(doubles_are_written_as_the_library_would),
        cmocka_unit_test(decimals_are_read_as_the_library_would),
        cmocka_unit_test(numbers_do_not_depend_on_the_locale),
        cmocka_unit_test(integers_are_the_whole_text),
        cmocka_unit_test(doubles_are_decimal_only),
        cmocka_unit_test(sizes_and_times_have_units),
        cmocka_unit_test(sizes_are_shown_in_decimal_units),
        cmocka_unit_test(near_words_have_a_small_distance),
        cmocka_unit_test(parts_of_strings),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
