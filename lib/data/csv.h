/** @file
 * CSV as it is found in the wild: dialect, byte-order mark, gzip; RFC 4180 quoting by libcsv.
 *
 * Reading is a push: bytes go in as they arrive, rows come out by callback. Memory is bounded by
 * the longest row (CSV_ROW_MAX).
 *
 * Thread:     any; one thread at a time a reader.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/rc.h"
#include "lib/base/scope.h"

#define CSV_ROW_MAX (4u << 20)
#define CSV_COLUMNS_MAX 4096
/** gzip data that inflates to more than this, and to more than so many times its own size, is taken
 * for a bomb (RC_INVALID). Tables shrink to a tenth or so; deflate can do a thousandth. */
#define CSV_INFLATED_MAX (64ull << 20)
#define CSV_INFLATED_RATIO 250

struct csv_row {
    uint64_t line; /**< Where the row began; the first line is 1. */
    unsigned count;
    const char *const *fields; /**< NUL-terminated; never NULL. */
    const size_t *lens;
    const bool *quoted;
};

/** Answer anything but RC_OK (with `err` set) to stop reading. */
typedef enum rc csv_row_fn(const struct csv_row *row, void *arg, struct err *err);

struct csv_dialect {
    char delimiter; /**< ',' ';' '\t' or '|'. */
    bool gzip, bom;
};

/** The delimiter that splits the first rows of `text` most evenly, quotes respected; ',' when none
 * does. `whole` tells that the text does not end in the middle of a row. */
char csv_detect_delimiter(const char *text, size_t len, bool whole);

/** Whether a reader of what we have written must know quotes. */
enum csv_quotes { CSV_QUOTES_UNKNOWN, CSV_QUOTES_NONE, CSV_QUOTES_SOME };

/** Of text that strbuf_csv() wrote: it quotes whatever has a quote in it, so there is none in it
 * where nothing is quoted. */
enum csv_quotes csv_quotes_of(const char *text, size_t len);
/** Of 1 (some), 0 (none), anything else (unknown). */
enum csv_quotes csv_quotes_from_flag(int flag);

struct csv_reader;
/** `name` (copied) appears in errors: "'name': line L: why". The dialect is detected from the first
 * 64 KiB (or the end). */
struct csv_reader *csv_reader_new(const char *name, csv_row_fn *on_row, void *arg);
void csv_reader_free(struct csv_reader *reader);
SCOPED_FN(struct csv_reader, csv_reader_free)
/** RC_CORRUPT for damaged gzip, RC_INVALID (with the line) for broken quoting, NUL bytes, UTF-16
 * ("save it as UTF-8") or a row over its bounds. After an error every later call repeats it. Blank
 * lines are no rows; a field keeps its spaces. */
enum rc csv_reader_feed(struct csv_reader *reader, const void *bytes, size_t len, struct err *err);
enum rc csv_reader_end(struct csv_reader *reader, struct err *err);
/** Meaningful once the first row was delivered. */
const struct csv_dialect *csv_reader_dialect(const struct csv_reader *reader);
