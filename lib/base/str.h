/** @file
 * Strings: a growing buffer with the few encodings we write, and strict number parsing.
 *
 * Thread:     any; a buffer belongs to one thread at a time.
 * Ownership:  a `struct strbuf` owns its bytes until strbuf_done() or strbuf_take(); zero
 *             initialisation is an empty buffer. `data` is NUL-terminated whenever it is not NULL.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "lib/base/scope.h"

struct strbuf {
    char *data; /**< NULL while nothing was ever added. */
    size_t len, cap;
};

void strbuf_done(struct strbuf *buf);
static inline void strbuf_done_ptr(struct strbuf *buf)
{
    strbuf_done(buf);
}

void strbuf_add(struct strbuf *buf, const void *bytes, size_t len);
/** Room for `more` bytes at once, where it is known how many will come. */
void strbuf_reserve(struct strbuf *buf, size_t more);
void strbuf_puts(struct strbuf *buf, const char *text);
void strbuf_putc(struct strbuf *buf, char c);
void strbuf_printf(struct strbuf *buf, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/** Forget the content, keep the memory. */
void strbuf_reset(struct strbuf *buf);
/** The bytes, NUL-terminated and never NULL; the caller frees. Leaves an empty buffer. */
char *strbuf_take(struct strbuf *buf);
/** The content as a C string, "" when empty. Valid until the next call on the buffer. */
const char *strbuf_text(const struct strbuf *buf);

/** A JSON string with its quotes. Bytes that are not UTF-8 become U+FFFD. */
void strbuf_json(struct strbuf *buf, const char *text);
/** One CSV field (RFC 4180): quoted only when it must be. */
void strbuf_csv(struct strbuf *buf, const char *text, size_t len);
/** For terminals and logs: control characters, bytes that are not UTF-8 and characters that hide or
 * reorder text as "\n", "\t", "\x1b". */
void strbuf_printable(struct strbuf *buf, const char *text);
/** The shortest decimal that reads back to the same double; nothing at all for NaN. */
void strbuf_double(struct strbuf *buf, double value);

char *str_dup(const char *text);
char *str_dup_n(const char *bytes, size_t len);
char *str_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
bool str_starts(const char *text, const char *prefix);
bool str_ends(const char *text, const char *suffix);
/** What follows the last '/', or all of it. */
const char *str_basename(const char *path);
/** Levenshtein distance; for "did you mean". Texts over 64 bytes count as unrelated (1000). */
unsigned str_distance(const char *a, const char *b);
/** Length of the UTF-8 sequence at `bytes`; 0 for none (cut, overlong, surrogate, over U+10FFFF).
 */
size_t str_utf8_len(const char *bytes, size_t len);
bool str_is_utf8(const char *bytes, size_t len);

/** The whole text must be the number: no spaces, no sign for the unsigned, no overflow. */
bool str_to_u64(const char *text, uint64_t *ret_value);
bool str_to_i64(const char *text, int64_t *ret_value);
/** Decimal notation, always with '.', whatever the locale; "nan" and "inf" are refused. */
bool str_to_double(const char *text, double *ret_value);
/** "512MiB", "1GiB", "64KiB", "10" (bytes); also kB, MB, GB. */
bool str_to_bytes(const char *text, uint64_t *ret_bytes);
/** "30s", "500ms", "5m", "2h", "1d". */
bool str_to_ms(const char *text, int64_t *ret_ms);
/** "7.2 MB" (decimal units, as S3 consoles print them), into `ret_text`. */
const char *str_from_bytes(uint64_t bytes, char ret_text[24]);
