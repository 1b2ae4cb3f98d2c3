/** @file
 * How the rows of a query are written, as JSON or as CSV. Whoever found the rows (SQLite here, or
 * Athena), one result looks as the other because it is written by the same functions.
 *
 *     {"columns":[...],"types":[...],"rows":[[...],...],"truncated":false}
 *
 * A cell that has no value is null in JSON and nothing in CSV, as an empty text is there.
 *
 * Thread:     any; a result belongs to one at a time.
 * Ownership:  strings are copied into `out`, which is the caller's.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/str.h"

enum catalog_format { CATALOG_JSON, CATALOG_CSV };

struct catalog_result {
    struct strbuf *out;
    enum catalog_format format;
    uint64_t rows;  /**< Begun so far. */
    unsigned cells; /**< Of the row. */
};

/** One column of the head; all of them, in order, before the first row. */
struct catalog_result_column {
    const char *name, *type; /**< Type as catalog_type_name(). */
};
void catalog_result_head(struct catalog_result *result, const struct catalog_result_column *columns,
                         unsigned count);
void catalog_result_row(struct catalog_result *result);
void catalog_result_int(struct catalog_result *result, int64_t value);
/** What JSON cannot say (an infinity) is null there. */
void catalog_result_double(struct catalog_result *result, double value);
void catalog_result_text(struct catalog_result *result, const char *text, size_t len);
void catalog_result_hex(struct catalog_result *result, const void *bytes, size_t len);
void catalog_result_null(struct catalog_result *result);
void catalog_result_row_end(struct catalog_result *result);
/** `extra`: more members of the JSON object, each with its comma in front; "" for none. */
void catalog_result_end(struct catalog_result *result, bool truncated, const char *extra);
