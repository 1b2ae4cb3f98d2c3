/** @file
 * Fields and their types. Each recogniser reads the whole field or says no.
 */
#include "daemon/catalog/catalog_types.h"

#include <string.h>
#include <strings.h>

#include "lib/base/mem.h"
#include "lib/base/now.h"

/** Integers up to this size survive a double. */
#define DOUBLE_EXACT (INT64_C(1) << 53)
/** Longer than any number or time worth the name. */
#define SCALAR_MAX 400

static const char *const type_names[] = {
#define X(name, text) [CATALOG_TYPE_##name] = text,
    CATALOG_TYPE_MAP(X)
#undef X
};

static const char *const null_words[] = {"nan", "na", "n/a", "null", "none"};

const char *catalog_type_name(enum catalog_type type)
{
    return type_names[type == CATALOG_TYPE_NONE ? CATALOG_TYPE_STRING : type];
}

enum catalog_type catalog_type_parse(const char *name)
{
    for (enum catalog_type type = CATALOG_TYPE_NONE; type < CATALOG_TYPE_STRING; type++) {
        if (strcmp(type_names[type], name) == 0) {
            return type;
        }
    }
    return CATALOG_TYPE_STRING;
}

enum catalog_type catalog_type_widen(enum catalog_type a, enum catalog_type b)
{
    if (a == b || b == CATALOG_TYPE_NONE) {
        return a;
    }
    if (a == CATALOG_TYPE_NONE) {
        return b;
    }
    return MAX_OF(a, b) <= CATALOG_TYPE_DOUBLE ? CATALOG_TYPE_DOUBLE : CATALOG_TYPE_STRING;
}

static void trim(const char **text, size_t *len)
{
    while (*len > 0 && (**text == ' ' || **text == '\t')) {
        (*text)++, (*len)--;
    }
    while (*len > 0 && ((*text)[*len - 1] == ' ' || (*text)[*len - 1] == '\t')) {
        (*len)--;
    }
}

static bool is_null_word(const char *text, size_t len)
{
    for (unsigned i = 0; i < ARRAY_LEN(null_words); i++) {
        if (strlen(null_words[i]) == len && strncasecmp(null_words[i], text, len) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static size_t digits(const char *text, size_t len)
{
    size_t n = 0;

    while (n < len && is_digit(text[n])) {
        n++;
    }
    return n;
}

/** -?(0|[1-9][0-9]*)(\.[0-9]*)?([eE][+-]?[0-9]+)?, or the same without the digits in front. A zero
 * in front of other digits makes it a code, not a number. */
static bool is_decimal(const char *text, size_t len, bool *ret_integer)
{
    size_t at = len > 0 && text[0] == '-' ? 1 : 0;
    size_t whole = digits(text + at, len - at);
    size_t fraction = 0;

    if (whole > 1 && text[at] == '0') {
        return false;
    }
    at += whole;
    *ret_integer = at == len;
    if (at < len && text[at] == '.') {
        fraction = digits(text + at + 1, len - at - 1);
        at += 1 + fraction;
    }
    if (whole + fraction == 0) {
        return false;
    }
    if (at < len && (text[at] == 'e' || text[at] == 'E')) {
        size_t exponent;

        at++;
        at += at < len && (text[at] == '+' || text[at] == '-');
        exponent = digits(text + at, len - at);
        if (exponent == 0) {
            return false;
        }
        at += exponent;
    }
    return at == len;
}

/** NUL-terminated copy for the parsers of lib/base. */
static bool copy_scalar(const char *text, size_t len, char ret_copy[SCALAR_MAX])
{
    if (len == 0 || len >= SCALAR_MAX || memchr(text, '\0', len) != NULL) {
        return false;
    }
    memcpy(ret_copy, text, len);
    ret_copy[len] = '\0';
    return true;
}

static bool to_double(const char *copy, double *ret_value)
{
    struct strbuf dotted = {0};
    bool ok;

    /* "5." and ".5" are common in scientists' files; the strict parser wants digits on both sides.
     */
    for (const char *p = copy; *p != '\0'; p++) {
        if (*p == '.' && (p == copy || !is_digit(p[-1]))) {
            strbuf_putc(&dotted, '0');
        }
        strbuf_putc(&dotted, *p);
        if (*p == '.' && !is_digit(p[1])) {
            strbuf_putc(&dotted, '0');
        }
    }
    ok = str_to_double(strbuf_text(&dotted), ret_value);
    strbuf_done(&dotted);
    return ok;
}

/** A time read from text: seconds of UTC and the digits of its fraction. */
struct timestamp {
    int64_t epoch_s;
    const char *fraction;
    size_t fraction_len;
};

/** "Z", "+02:00", "+0200", or nothing; what follows the seconds. */
static bool parse_zone(const char *text, size_t len, int64_t *ret_offset_s)
{
    unsigned hours, minutes;
    size_t colon;

    *ret_offset_s = 0;
    if (len == 0 || (len == 1 && (text[0] == 'Z' || text[0] == 'z'))) {
        return true;
    }
    colon = len == 6 && text[3] == ':' ? 1 : 0;
    if ((text[0] != '+' && text[0] != '-') || len != 5 + colon || digits(text + 1, 2) != 2 ||
        digits(text + 3 + colon, 2) != 2) {
        return false;
    }
    hours = (unsigned)(text[1] - '0') * 10 + (unsigned)(text[2] - '0');
    minutes = (unsigned)(text[3 + colon] - '0') * 10 + (unsigned)(text[4 + colon] - '0');
    if (hours > 14 || minutes > 59) {
        return false;
    }
    *ret_offset_s = (int64_t)(hours * 60 + minutes) * (text[0] == '-' ? -60 : 60);
    return true;
}

/** ISO 8601 as people write it: a date; a date and a time to the minute, the second or below; with
 * 'T' or a space between; without a zone (taken as UTC) or with one. */
static bool parse_timestamp(const char *text, size_t len, struct timestamp *ret_time)
{
    char whole[] = "0000-00-00 00:00:00";
    int64_t offset_s = 0;
    size_t at;
    int year;

    *ret_time = (struct timestamp){0};
    if (len < 10 || text[4] != '-' || text[7] != '-') {
        return false;
    }
    memcpy(whole, text, 10);
    if (len > 10) {
        if (len < 16 || (text[10] != ' ' && text[10] != 'T' && text[10] != 't') ||
            text[13] != ':') {
            return false;
        }
        memcpy(whole + 11, text + 11, 5);
        at = 16;
        if (len >= 19 && text[16] == ':') {
            memcpy(whole + 17, text + 17, 2);
            at = 19;
            if (len > 19 && text[19] == '.') {
                ret_time->fraction = text + 20;
                ret_time->fraction_len = digits(text + 20, len - 20);
                if (ret_time->fraction_len == 0 || ret_time->fraction_len > 9) {
                    return false;
                }
                at = 20 + ret_time->fraction_len;
            }
        }
        if (!parse_zone(text + at, len - at, &offset_s)) {
            return false;
        }
    }
    if (memchr(whole, '\0', sizeof(whole) - 1) != NULL ||
        !now_parse_utc(whole, &ret_time->epoch_s)) {
        return false;
    }
    ret_time->epoch_s -= offset_s;
    now_civil(ret_time->epoch_s, &year, NULL, NULL);
    return year >= 1 && year <= 9999; /* in UTC; beyond, there is no way to write it */
}

bool catalog_type_is_null(enum catalog_type type, const char *text, size_t len)
{
    if (type == CATALOG_TYPE_STRING || type == CATALOG_TYPE_NONE) {
        return len == 0;
    }
    trim(&text, &len);
    return len == 0 || is_null_word(text, len);
}

enum catalog_type catalog_type_of(const char *text, size_t len, bool *ret_exact)
{
    char copy[SCALAR_MAX];
    struct timestamp time;
    bool integer, exact = true;
    enum catalog_type type = CATALOG_TYPE_STRING;
    int64_t value;
    double real;

    trim(&text, &len);
    if (len == 0 || is_null_word(text, len)) {
        type = CATALOG_TYPE_NONE;
    } else if (!copy_scalar(text, len, copy)) {
        type = CATALOG_TYPE_STRING;
    } else if (is_decimal(copy, len, &integer)) {
        if (!integer) {
            type = to_double(copy, &real) ? CATALOG_TYPE_DOUBLE : CATALOG_TYPE_STRING;
        } else if (str_to_i64(copy, &value)) {
            type = CATALOG_TYPE_BIGINT;
            exact = value <= DOUBLE_EXACT && value >= -DOUBLE_EXACT;
        }
    } else if (parse_timestamp(copy, len, &time)) {
        type = CATALOG_TYPE_TIMESTAMP;
    }
    if (ret_exact != NULL) {
        *ret_exact = exact;
    }
    return type;
}

static bool clean_timestamp(const char *copy, size_t len, struct strbuf *out)
{
    struct timestamp time;
    char text[NOW_TEXT];

    if (!parse_timestamp(copy, len, &time)) {
        return false;
    }
    now_format_utc(time.epoch_s, text);
    strbuf_puts(out, text);
    while (time.fraction_len > 0 && time.fraction[time.fraction_len - 1] == '0') {
        time.fraction_len--;
    }
    if (time.fraction_len > 0) {
        strbuf_putc(out, '.');
        strbuf_add(out, time.fraction, time.fraction_len);
    }
    return true;
}

bool catalog_type_clean(enum catalog_type type, const char *text, size_t len, struct strbuf *out)
{
    char copy[SCALAR_MAX];
    bool integer;
    int64_t value;
    double real;

    if (catalog_type_is_null(type, text, len)) {
        return true;
    }
    if (type == CATALOG_TYPE_STRING || type == CATALOG_TYPE_NONE) {
        strbuf_add(out, text, len);
        return true;
    }
    trim(&text, &len);
    if (!copy_scalar(text, len, copy)) {
        return false;
    }
    if (type == CATALOG_TYPE_TIMESTAMP) {
        return clean_timestamp(copy, len, out);
    }
    if (!is_decimal(copy, len, &integer)) {
        return false;
    }
    if (type == CATALOG_TYPE_BIGINT) {
        if (!integer || !str_to_i64(copy, &value)) {
            return false;
        }
        strbuf_printf(out, "%lld", (long long)value);
        return true;
    }
    if (!to_double(copy, &real)) {
        return false;
    }
    strbuf_double(out, real);
    return true;
}
