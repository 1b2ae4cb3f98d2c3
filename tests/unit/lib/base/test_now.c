/** @file
 * The calendar agrees with libc's, and only real dates are read.
 */
#include "tests/unit.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lib/base/mem.h"
#include "lib/base/now.h"

static void times_are_written_in_utc(void **state)
{
    char text[NOW_TEXT];

    now_format_utc(0, text);
    assert_string_equal(text, "1970-01-01 00:00:00");
    now_format_utc(1557685800, text);
    assert_string_equal(text, "2019-05-12 18:30:00");
    now_format_iso_ms(INT64_C(1557685800123), text);
    assert_string_equal(text, "2019-05-12T18:30:00.123Z");
    now_format_iso_ms(-1, text);
    assert_string_equal(text, "1969-12-31T23:59:59.999Z");
}

static void the_calendar_is_libcs(void **state)
{
    for (int64_t day = -719162; day < 2932896; day += 13) {
        time_t time = (time_t)(day * 86400 + 86399);
        struct tm tm;
        int year, month, mday;
        char ours[NOW_TEXT], theirs[64];
        int64_t again;

        assert_non_null(gmtime_r(&time, &tm));
        now_civil(time, &year, &month, &mday);
        assert_int_equal(year, tm.tm_year + 1900);
        assert_int_equal(month, tm.tm_mon + 1);
        assert_int_equal(mday, tm.tm_mday);
        snprintf(theirs, sizeof(theirs), "%04d-%02d-%02d 23:59:59", year, month, mday);
        now_format_utc(time, ours);
        assert_string_equal(ours, theirs);
        assert_true(now_parse_utc(ours, &again));
        assert_int_equal(again, time);
    }
}

static void a_time_out_of_range_is_written_as_the_nearest(void **state)
{
    char text[NOW_TEXT];

    now_format_utc(INT64_MAX, text);
    assert_string_equal(text, "9999-12-31 23:59:59");
    now_format_utc(INT64_MIN, text);
    assert_string_equal(text, "0001-01-01 00:00:00");
}

static void only_real_dates_are_read(void **state)
{
    static const char *const wrong[] = {
        "",
        "2019-02-29 00:00:00",
        "1900-02-29 00:00:00",
        "2019-13-01 00:00:00",
        "2019-00-01 00:00:00",
        "2019-01-00 00:00:00",
        "2019-04-31 00:00:00",
        "0000-01-01 00:00:00",
        "2019-01-01 24:00:00",
        "2019-01-01 00:60:00",
        "2019-01-01 00:00:60",
        "2019-1-01 00:00:00",
        "2019-01-01",
        "2019-01-01 00:00:00 ",
        "2019-01-01 00:00:00ZZ",
        "2019-01-01 00:00:00.5",
        "20190101 00:00:00",
        " 2019-01-01 00:00:00",
    };
    int64_t epoch = 5;

    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        assert_false(now_parse_utc(wrong[i], &epoch));
    }
    assert_int_equal(epoch, 5);
    assert_true(now_parse_utc("2000-02-29T12:00:00Z", &epoch));
    assert_int_equal(epoch, 951825600);
    assert_true(now_parse_utc("2000-02-29 12:00:00", &epoch));
}

static void the_monotonic_clock_never_goes_back(void **state)
{
    int64_t before = now_mono_us();

    for (int i = 0; i < 1000; i++) {
        int64_t now = now_mono_us();

        assert_true(now >= before);
        before = now;
    }
    assert_true(now_wall_ms() > INT64_C(1577836800000)); /* 2020 */
    assert_true(now_mono_ms() <= now_mono_us() / 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_are_written_in_utc),
        cmocka_unit_test(the_calendar_is_libcs),
        cmocka_unit_test(a_time_out_of_range_is_written_as_the_nearest),
        cmocka_unit_test(only_real_dates_are_read),
        cmocka_unit_test(the_monotonic_clock_never_goes_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
