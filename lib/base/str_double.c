/** @file
 * Doubles as decimals and back: both exact, without printf() and strtod() where integers of 128
 * bits do, which is nearly always. Rows of numbers are what most files come to.
 */
#include <ctype.h>
#include <float.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/str.h"

#define MANTISSA_BITS 52
#define DIGITS_MIN 15 /**< Are always kept by a double. */
#define DIGITS_MAX 17 /**< Always suffice for one. */

#ifdef __SIZEOF_INT128__
__extension__ typedef unsigned __int128 wide;

static const uint64_t tens[] = {1u,
                                10u,
                                100u,
                                1000u,
                                10000u,
                                100000u,
                                1000000u,
                                10000000u,
                                100000000u,
                                1000000000u,
                                10000000000u,
                                100000000000u,
                                1000000000000u,
                                10000000000000u,
                                100000000000000u,
                                1000000000000000u,
                                10000000000000000u,
                                100000000000000000u,
                                1000000000000000000u,
                                10000000000000000000u};
#define TENS_MAX 19
#endif

static locale_t made_locale;

static void make_locale(void)
{
    made_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (made_locale == (locale_t)0) {
        abort();
    }
}

/** Numbers are written and read as in C, whatever the program's locale is. */
static locale_t c_locale(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, make_locale);
    return made_locale;
}

/* Writing */

/** `digits` with so many of them behind the point, less the zeros at the end. */
static void add_decimal(struct strbuf *buf, bool negative, uint64_t digits, unsigned decimals)
{
    char text[32], *at = text + sizeof(text);

    for (; decimals > 0 && digits % 10 == 0; digits /= 10) {
        decimals--;
    }
    if (decimals > 0) {
        for (; decimals > 0; decimals--, digits /= 10) {
            *--at = (char)('0' + digits % 10);
        }
        *--at = '.';
    }
    do {
        *--at = (char)('0' + digits % 10);
        digits /= 10;
    } while (digits > 0);
    if (negative) {
        *--at = '-';
    }
    strbuf_add(buf, at, (size_t)(text + sizeof(text) - at));
}

/** A value of at most four decimals, as most are: where the digits stand for it and are no more
 * than 15, they are those that %.15g would show. */
static bool add_short(struct strbuf *buf, double value)
{
    enum { DECIMALS = 4, SCALE = 10000 };
    const double scaled = fabs(value) * SCALE;

    if (!(scaled < 1e15) || (value == 0 && signbit(value))) {
        return false;
    }
    const uint64_t digits = (uint64_t)(scaled + 0.5);

    if ((double)digits / SCALE != fabs(value)) {
        return false;
    }
    add_decimal(buf, value < 0, digits, DECIMALS);
    return true;
}

#ifdef __SIZEOF_INT128__
/** How many digits stand before the point; less than 1: how many zeros follow it. The doubles next
 * to these powers of ten lie above them, so that comparing with them is exact. */
static int point_of(double value)
{
    int point = 1;

    if (value < 1) {
        return value >= 0.1 ? 0 : value >= 0.01 ? -1 : value >= 0.001 ? -2 : -3;
    }
    while (value >= (double)tens[point]) {
        point++;
    }
    return point;
}

/** What %.15g, %.16g or %.17g would show, the first that reads back, where none has an exponent.
 *
 * The value times a power of ten is an integer of 128 bits over a power of two: its first 17 digits
 * are `whole`, what is behind them `rest`. Digits read back when they are nearer to the value than
 * half of what lies between it and the next double. */
static bool add_exact(struct strbuf *buf, double value)
{
    const double size = fabs(value);
    uint64_t bits;

    if (!(size >= 1e-4 && size < 1e15)) {
        return false;
    }
    memcpy(&bits, &size, sizeof(bits));
    const uint64_t mantissa = (bits & ((UINT64_C(1) << MANTISSA_BITS) - 1)) | UINT64_C(1)
                                                                                  << MANTISSA_BITS;
    const unsigned shift =
        (unsigned)(DBL_MAX_EXP - 1 + MANTISSA_BITS - (int)(bits >> MANTISSA_BITS));
    const int point = point_of(size);
    const unsigned power = (unsigned)(DIGITS_MAX - point);
    const wide gap = power > TENS_MAX ? (wide)tens[TENS_MAX] * tens[power - TENS_MAX] : tens[power];
    const wide scaled = mantissa * gap;
    const uint64_t whole = (uint64_t)(scaled >> shift);
    const wide rest = scaled & (((wide)1 << shift) - 1);

    if (mantissa == UINT64_C(1) << MANTISSA_BITS) {
        return false; /* the double below it is nearer than the one above */
    }
    for (unsigned digits = DIGITS_MIN; digits <= DIGITS_MAX; digits++) {
        const uint64_t unit = tens[DIGITS_MAX - digits];
        const wide step = (wide)unit << shift;
        const wide over = ((wide)(whole % unit) << shift) + rest;
        uint64_t shown = whole / unit;
        const bool up = 2 * over > step || (2 * over == step && shown % 2 != 0);
        const wide away = up ? step - over : over;

        shown += up;
        if (digits < DIGITS_MAX && (2 * away > gap || (2 * away == gap && mantissa % 2 != 0))) {
            continue;
        }
        if (digits == DIGITS_MIN && shown == tens[DIGITS_MIN] && point == DIGITS_MIN) {
            return false; /* %.15g would show an exponent */
        }
        add_decimal(buf, value < 0, shown, (unsigned)((int)digits - point));
        return true;
    }
    return false;
}
#else
static bool add_exact(struct strbuf *buf, double value)
{
    (void)buf;
    (void)value;
    return false;
}
#endif

void strbuf_double(struct strbuf *buf, double value)
{
    char text[40];
    locale_t before;

    if (isnan(value) || add_short(buf, value) || add_exact(buf, value)) {
        return;
    }
    before = uselocale(c_locale());
    /* Subnormals have fewer digits than others. */
    for (int digits = fabs(value) < DBL_MIN ? 1 : DIGITS_MIN; digits <= DIGITS_MAX; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, value);
        if (strtod(text, NULL) == value) {
            break;
        }
    }
    uselocale(before);
    strbuf_puts(buf, text);
}

/* Reading */

/** [+-] digits [. digits] [e [+-] digits], with a digit on either side of the point. */
static bool looks_decimal(const char *p)
{
    bool digits = false;

    p += *p == '+' || *p == '-';
    for (; isdigit((unsigned char)*p); p++) {
        digits = true;
    }
    if (*p == '.') {
        for (p++; isdigit((unsigned char)*p); p++) {
            digits = true;
        }
    }
    if (!digits) {
        return false;
    }
    if (*p == 'e' || *p == 'E') {
        p++;
        p += *p == '+' || *p == '-';
        if (!isdigit((unsigned char)*p)) {
            return false;
        }
        while (isdigit((unsigned char)*p)) {
            p++;
        }
    }
    return *p == '\0';
}

#ifdef __SIZEOF_INT128__
/** The double nearest to `digits` over a power of ten. */
static double quotient_of(uint64_t digits, unsigned power)
{
    const int up = __builtin_clzll(digits);
    const wide all = (wide)(digits << up) << 64;
    const wide whole = all / tens[power];
    const uint64_t high = (uint64_t)(whole >> 64);
    const int extra =
        (high != 0 ? 128 - __builtin_clzll(high) : 64 - __builtin_clzll((uint64_t)whole)) -
        (MANTISSA_BITS + 1);
    const wide behind = whole & (((wide)1 << extra) - 1), half = (wide)1 << (extra - 1);
    uint64_t mantissa = (uint64_t)(whole >> extra);

    if (behind > half || (behind == half && (all % tens[power] != 0 || mantissa % 2 != 0))) {
        mantissa++;
    }
    return ldexp((double)mantissa, extra - 64 - up);
}

/** A number without an exponent and of at most 19 digits, on either side of the point. */
static bool read_exact(const char *text, double *ret_value)
{
    const bool negative = *text == '-';
    const char *p = text + (*text == '-' || *text == '+');
    uint64_t digits = 0;
    unsigned count = 0, decimals = 0;
    bool behind = false;

    for (; *p != '\0'; p++) {
        if (*p == '.') {
            behind = true;
            continue;
        }
        if (*p < '0' || *p > '9' || count == TENS_MAX) {
            return false;
        }
        digits = 10 * digits + (uint64_t)(*p - '0');
        count += digits > 0;
        decimals += behind;
    }
    if (decimals > TENS_MAX || digits == 0) {
        return false;
    }
    const double size = decimals == 0 ? (double)digits : quotient_of(digits, decimals);

    *ret_value = negative ? -size : size;
    return true;
}
#else
static bool read_exact(const char *text, double *ret_value)
{
    (void)text;
    (void)ret_value;
    return false;
}
#endif

bool str_to_double(const char *text, double *ret_value)
{
    double value;

    if (!looks_decimal(text)) {
        return false;
    }
    if (read_exact(text, ret_value)) {
        return true;
    }
    value = strtod_l(text, NULL, c_locale());
    if (isinf(value)) { /* Too large; what is too small is rightly 0. */
        return false;
    }
    *ret_value = value;
    return true;
}
