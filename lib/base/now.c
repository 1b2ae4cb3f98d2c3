#include "lib/base/now.h"

#include <assert.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { DAY_S = 86400 };

/** 0001-01-01 00:00:00 and 9999-12-31 23:59:59. */
#define FIRST_S INT64_C(-62135596800)
#define LAST_S INT64_C(253402300799)

static int64_t read_us(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now); /* Cannot fail for these clocks. */
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t now_wall_ms(void)
{
    return read_us(CLOCK_REALTIME) / 1000;
}

int64_t now_mono_ms(void)
{
    return read_us(CLOCK_MONOTONIC) / 1000;
}

int64_t now_mono_us(void)
{
    return read_us(CLOCK_MONOTONIC);
}

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

/** Howard Hinnant's days_from_civil: years begin in March, so that a leap day comes last. */
static int64_t days_from_civil(int year, int month, int day)
{
    int64_t y = year - (month <= 2);
    int64_t era = floor_div(y, 400);
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

    return era * 146097 + day_of_era - 719468;
}

void now_civil(int64_t epoch_s, int *ret_year, int *ret_month, int *ret_day)
{
    int64_t days = floor_div(epoch_s, DAY_S) + 719468;
    int64_t era = floor_div(days, 146097);
    int64_t day_of_era = days - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t shifted_month = (5 * day_of_year + 2) / 153;
    int month = (int)(shifted_month < 10 ? shifted_month + 3 : shifted_month - 9);

    if (ret_year != NULL) {
        *ret_year = (int)(year_of_era + era * 400) + (month <= 2);
    }
    if (ret_month != NULL) {
        *ret_month = month;
    }
    if (ret_day != NULL) {
        *ret_day = (int)(day_of_year - (153 * shifted_month + 2) / 5 + 1);
    }
}

static void format(int64_t epoch_s, char between, char ret_text[NOW_TEXT])
{
    int year, month, day, second;

    /* A time out of range comes from data; it shows as the nearest one that can be written. */
    epoch_s = epoch_s < FIRST_S ? FIRST_S : epoch_s > LAST_S ? LAST_S : epoch_s;
    now_civil(epoch_s, &year, &month, &day);
    second = (int)(epoch_s - floor_div(epoch_s, DAY_S) * DAY_S);
    snprintf(ret_text, NOW_TEXT, "%04u-%02u-%02u%c%02u:%02u:%02u", (unsigned)year % 10000,
             (unsigned)month % 100, (unsigned)day % 100, between, (unsigned)second / 3600 % 100,
             (unsigned)second / 60 % 60, (unsigned)second % 60);
}

void now_format_utc(int64_t epoch_s, char ret_text[NOW_TEXT])
{
    format(epoch_s, ' ', ret_text);
}

void now_format_iso_ms(int64_t epoch_ms, char ret_text[NOW_TEXT])
{
    int64_t epoch_s = floor_div(epoch_ms, 1000);
    size_t len;

    format(epoch_s, 'T', ret_text);
    len = strlen(ret_text);
    snprintf(ret_text + len, NOW_TEXT - len, ".%03uZ",
             (unsigned)(epoch_ms - epoch_s * 1000) % 1000);
}

/** Two or four digits at `*p`, which moves behind them; -1 when they are none. */
static int take_digits(const char **p, int count)
{
    int value = 0;

    for (int i = 0; i < count; i++, (*p)++) {
        if (**p < '0' || **p > '9') {
            return -1;
        }
        value = value * 10 + (**p - '0');
    }
    return value;
}

static bool take_char(const char **p, const char *any_of)
{
    if (**p == '\0' || strchr(any_of, **p) == NULL) {
        return false;
    }
    (*p)++;
    return true;
}

static int days_in_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return month == 2 && leap ? 29 : days[month - 1];
}

bool now_parse_utc(const char *text, int64_t *ret_epoch_s)
{
    const char *p = text;
    int year, month, day, hour, minute, second;

    year = take_digits(&p, 4);
    if (year < 1 || !take_char(&p, "-")) {
        return false;
    }
    month = take_digits(&p, 2);
    if (month < 1 || month > 12 || !take_char(&p, "-")) {
        return false;
    }
    day = take_digits(&p, 2);
    if (day < 1 || day > days_in_month(year, month) || !take_char(&p, " T")) {
        return false;
    }
    hour = take_digits(&p, 2);
    if (hour < 0 || hour > 23 || !take_char(&p, ":")) {
        return false;
    }
    minute = take_digits(&p, 2);
    if (minute < 0 || minute > 59 || !take_char(&p, ":")) {
        return false;
    }
    second = take_digits(&p, 2);
    if (second < 0 || second > 59) {
        return false;
    }
    take_char(&p, "Z");
    if (*p != '\0') {
        return false;
    }
    *ret_epoch_s = days_from_civil(year, month, day) * DAY_S + hour * 3600 + minute * 60 + second;
    return true;
}
