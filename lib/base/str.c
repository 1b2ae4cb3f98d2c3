#include "lib/base/str.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/base/mem.h"

/* A buffer */

void strbuf_done(struct strbuf *buf)
{
    free(buf->data);
    *buf = (struct strbuf){0};
}

/** Room for `more` bytes and the NUL. */
static void reserve(struct strbuf *buf, size_t more)
{
    size_t needed, cap;

    if (__builtin_add_overflow(buf->len, more, &needed) || needed > SIZE_MAX / 2 - 1) {
        abort();
    }
    if (needed < buf->cap) {
        return;
    }
    cap = MAX_OF(buf->cap * 2, needed + 1);
    cap = MAX_OF(cap, (size_t)64);
    buf->data = mem_resize(buf->data, cap, 1);
    buf->cap = cap;
}

void strbuf_reserve(struct strbuf *buf, size_t more)
{
    const size_t step = 64, wanted = buf->len + more + 1;

    if (more < SIZE_MAX / 2 && wanted > buf->cap) { /* to the next step, not to twice as much */
        buf->cap = (wanted + step - 1) / step * step;
        buf->data = mem_resize(buf->data, buf->cap, 1);
        buf->data[buf->len] = '\0';
    }
}

void strbuf_add(struct strbuf *buf, const void *bytes, size_t len)
{
    reserve(buf, len);
    if (len > 0) {
        memcpy(buf->data + buf->len, bytes, len);
    }
    buf->len += len;
    buf->data[buf->len] = '\0';
}

void strbuf_puts(struct strbuf *buf, const char *text)
{
    strbuf_add(buf, text, strlen(text));
}

void strbuf_putc(struct strbuf *buf, char c)
{
    strbuf_add(buf, &c, 1);
}

__attribute__((format(printf, 2, 0))) static void vprintf_to(struct strbuf *buf, const char *fmt,
                                                             va_list args)
{
    va_list again;
    int wanted;

    va_copy(again, args);
    reserve(buf, 128);
    wanted = vsnprintf(buf->data + buf->len, buf->cap - buf->len, fmt, args);
    if (wanted < 0) { /* An encoding error of wide characters, which we do not print. */
        abort();
    }
    if ((size_t)wanted >= buf->cap - buf->len) {
        reserve(buf, (size_t)wanted);
        vsnprintf(buf->data + buf->len, buf->cap - buf->len, fmt, again);
    }
    buf->len += (size_t)wanted;
    va_end(again);
}

void strbuf_printf(struct strbuf *buf, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    vprintf_to(buf, fmt, args);
    va_end(args);
}

void strbuf_reset(struct strbuf *buf)
{
    buf->len = 0;
    if (buf->data != NULL) {
        buf->data[0] = '\0';
    }
}

char *strbuf_take(struct strbuf *buf)
{
    char *text = buf->data;

    if (text == NULL) {
        text = str_dup("");
    }
    *buf = (struct strbuf){0};
    return text;
}

const char *strbuf_text(const struct strbuf *buf)
{
    return buf->data != NULL ? buf->data : "";
}

/* Encodings */

size_t str_utf8_len(const char *bytes, size_t len)
{
    const unsigned char *p = (const unsigned char *)bytes;
    size_t want;
    unsigned low = 0x80, high = 0xBF;

    if (len == 0) {
        return 0;
    } else if (p[0] < 0x80) {
        return 1;
    } else if (p[0] >= 0xC2 && p[0] <= 0xDF) {
        want = 2;
    } else if (p[0] >= 0xE0 && p[0] <= 0xEF) {
        want = 3;
        low = p[0] == 0xE0 ? 0xA0 : 0x80;
        high = p[0] == 0xED ? 0x9F : 0xBF;
    } else if (p[0] >= 0xF0 && p[0] <= 0xF4) {
        want = 4;
        low = p[0] == 0xF0 ? 0x90 : 0x80;
        high = p[0] == 0xF4 ? 0x8F : 0xBF;
    } else {
        return 0;
    }
    if (len < want || p[1] < low || p[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < want; i++) {
        if ((p[i] & 0xC0) != 0x80) {
            return 0;
        }
    }
    return want;
}

bool str_is_utf8(const char *bytes, size_t len)
{
    for (size_t i = 0; i < len;) {
        size_t n = str_utf8_len(bytes + i, len - i);

        if (n == 0) {
            return false;
        }
        i += n;
    }
    return true;
}

static void json_ascii(struct strbuf *buf, char c)
{
    switch (c) {
    case '"':
    case '\\':
        strbuf_putc(buf, '\\');
        strbuf_putc(buf, c);
        break;
    case '\n':
        strbuf_puts(buf, "\\n");
        break;
    case '\r':
        strbuf_puts(buf, "\\r");
        break;
    case '\t':
        strbuf_puts(buf, "\\t");
        break;
    default:
        if ((unsigned char)c < 0x20 || c == 0x7F) {
            strbuf_printf(buf, "\\u%04x", (unsigned char)c);
        } else {
            strbuf_putc(buf, c);
        }
    }
}

void strbuf_json(struct strbuf *buf, const char *text)
{
    size_t len = strlen(text);

    strbuf_putc(buf, '"');
    for (size_t i = 0; i < len;) {
        size_t n = str_utf8_len(text + i, len - i);

        if (n == 0) {
            strbuf_puts(buf, "\xEF\xBF\xBD");
            n = 1;
        } else if (n == 1) {
            json_ascii(buf, text[i]);
        } else {
            strbuf_add(buf, text + i, n);
        }
        i += n;
    }
    strbuf_putc(buf, '"');
}

void strbuf_csv(struct strbuf *buf, const char *text, size_t len)
{
    bool quote = false;

    for (size_t i = 0; i < len; i++) {
        quote |= text[i] == '"' || text[i] == ',' || text[i] == '\n' || text[i] == '\r';
    }
    if (len > 0) { /* Readers that trim would lose spaces at the ends. */
        quote |= text[0] == ' ' || text[len - 1] == ' ';
    }
    if (!quote) {
        strbuf_add(buf, text, len);
        return;
    }
    strbuf_putc(buf, '"');
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '"') {
            strbuf_putc(buf, '"');
        }
        strbuf_putc(buf, text[i]);
    }
    strbuf_putc(buf, '"');
}

/** U+0080 to U+009F, line and paragraph separators, and what turns the direction of text. */
static bool is_hidden(const unsigned char *p, size_t n)
{
    return (n == 2 && p[0] == 0xC2 && p[1] < 0xA0) ||
           (n == 3 && p[0] == 0xE2 && p[1] == 0x80 && p[2] >= 0xA8 && p[2] <= 0xAE) ||
           (n == 3 && p[0] == 0xE2 && p[1] == 0x81 && p[2] >= 0xA6 && p[2] <= 0xA9);
}

void strbuf_printable(struct strbuf *buf, const char *text)
{
    size_t len = strlen(text);

    for (size_t i = 0; i < len;) {
        const unsigned char *p = (const unsigned char *)text + i;
        size_t n = str_utf8_len(text + i, len - i);
        bool plain = n > 0 && !is_hidden(p, n) && (n > 1 || (*p >= 0x20 && *p != 0x7F));

        n = MAX_OF(n, (size_t)1);
        if (plain) {
            strbuf_add(buf, p, n);
        } else if (*p == '\n' || *p == '\t') {
            strbuf_puts(buf, *p == '\n' ? "\\n" : "\\t");
        } else {
            for (size_t k = 0; k < n; k++) {
                strbuf_printf(buf, "\\x%02x", p[k]);
            }
        }
        i += n;
    }
}

/* Plain strings */

char *str_dup(const char *text)
{
    return str_dup_n(text, strlen(text));
}

char *str_dup_n(const char *bytes, size_t len)
{
    char *copy;

    if (len == SIZE_MAX || (copy = malloc(len + 1)) == NULL) {
        abort();
    }
    if (len > 0) {
        memcpy(copy, bytes, len);
    }
    copy[len] = '\0';
    return copy;
}

char *str_printf(const char *fmt, ...)
{
    struct strbuf buf = {0};
    va_list args;

    va_start(args, fmt);
    vprintf_to(&buf, fmt, args);
    va_end(args);
    return strbuf_take(&buf);
}

bool str_starts(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool str_ends(const char *text, const char *suffix)
{
    size_t len = strlen(text), suffix_len = strlen(suffix);

    return len >= suffix_len && memcmp(text + len - suffix_len, suffix, suffix_len) == 0;
}

const char *str_basename(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash != NULL ? slash + 1 : path;
}

unsigned str_distance(const char *a, const char *b)
{
    enum { LONGEST = 64, UNRELATED = 1000 };
    size_t a_len = strlen(a), b_len = strlen(b);
    unsigned row[LONGEST + 1];

    if (a_len > LONGEST || b_len > LONGEST) {
        return UNRELATED;
    }
    for (size_t j = 0; j <= b_len; j++) {
        row[j] = (unsigned)j;
    }
    for (size_t i = 1; i <= a_len; i++) {
        unsigned diagonal = row[0];

        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b_len; j++) {
            unsigned replaced = diagonal + (a[i - 1] != b[j - 1]);
            unsigned shifted = MIN_OF(row[j], row[j - 1]) + 1;

            diagonal = row[j];
            row[j] = MIN_OF(replaced, shifted);
        }
    }
    return row[b_len];
}

/* Numbers */

bool str_to_u64(const char *text, uint64_t *ret_value)
{
    uint64_t value = 0;

    if (*text == '\0') {
        return false;
    }
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9' || __builtin_mul_overflow(value, (uint64_t)10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(*text - '0'), &value)) {
            return false;
        }
    }
    *ret_value = value;
    return true;
}

bool str_to_i64(const char *text, int64_t *ret_value)
{
    bool negative = *text == '-';
    uint64_t value;

    if (!str_to_u64(negative || *text == '+' ? text + 1 : text, &value) ||
        value > (uint64_t)INT64_MAX + (negative ? 1 : 0)) {
        return false;
    }
    *ret_value = negative ? (int64_t)(~value + 1) : (int64_t)value;
    return true;
}

/** The digits in front of a unit; 0 when there are none or they overflow. */
static size_t leading_u64(const char *text, uint64_t *ret_value)
{
    char digits[24];
    size_t len = strspn(text, "0123456789");

    if (len == 0 || len >= sizeof(digits)) {
        return 0;
    }
    memcpy(digits, text, len);
    digits[len] = '\0';
    return str_to_u64(digits, ret_value) ? len : 0;
}

struct unit {
    const char *name;
    uint64_t factor;
};

static bool with_unit(const char *text, const struct unit *units, size_t count, uint64_t *ret_value)
{
    uint64_t value;
    size_t len = leading_u64(text, &value);

    if (len == 0) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (strcmp(text + len, units[i].name) == 0) {
            return !__builtin_mul_overflow(value, units[i].factor, ret_value);
        }
    }
    return false;
}

bool str_to_bytes(const char *text, uint64_t *ret_bytes)
{
    static const struct unit units[] = {
        {"", 1},
        {"B", 1},
        {"kB", 1000},
        {"MB", 1000000},
        {"GB", 1000000000},
        {"KiB", 1 << 10},
        {"MiB", 1 << 20},
        {"GiB", 1 << 30},
        {"TB", 1000000000000},
        {"TiB", UINT64_C(1) << 40},
    };
    uint64_t bytes;

    if (!with_unit(text, units, ARRAY_LEN(units), &bytes)) {
        return false;
    }
    *ret_bytes = bytes;
    return true;
}

bool str_to_ms(const char *text, int64_t *ret_ms)
{
    static const struct unit units[] = {
        {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
    uint64_t ms;

    if (!with_unit(text, units, ARRAY_LEN(units), &ms) || ms > INT64_MAX) {
        return false;
    }
    *ret_ms = (int64_t)ms;
    return true;
}

const char *str_from_bytes(uint64_t bytes, char ret_text[24])
{
    static const char *const names[] = {"kB", "MB", "GB", "TB", "PB", "EB"};
    uint64_t tenths = bytes / 100 + (bytes % 100 >= 50); /* of a kB */
    size_t unit = 0;

    if (bytes < 1000) {
        snprintf(ret_text, 24, "%u B", (unsigned)bytes);
        return ret_text;
    }
    while (tenths >= 10000 && unit + 1 < ARRAY_LEN(names)) {
        tenths = tenths / 1000 + (tenths % 1000 >= 500);
        unit++;
    }
    snprintf(ret_text, 24, "%u.%u %s", (unsigned)(tenths / 10), (unsigned)(tenths % 10),
             names[unit]);
    return ret_text;
}
