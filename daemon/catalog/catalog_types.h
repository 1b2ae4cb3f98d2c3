/** @file
 * What a field of text is: "bigint", "double", "timestamp" or "string"; and how types widen. Pure.
 *
 * The crawl infers with it, extraction cleans with it, and both agree because it is one function.
 * Strict on purpose: what does not surely read back as the same value is a string. A code with a
 * leading zero is a string, so is an integer beyond 64 bits, and so is `30-APR-19 14:52:00` (its
 * century is a guess and its time zone another). An empty field is no value in any type; "NaN",
 * "NA", "N/A" and "null" are none in a column that is otherwise numbers or times.
 *
 * Thread:     any.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/str.h"

/** In the order of widening; timestamp widens to string only. */
#define CATALOG_TYPE_MAP(X)   \
    X(NONE, "")               \
    X(BIGINT, "bigint")       \
    X(DOUBLE, "double")       \
    X(TIMESTAMP, "timestamp") \
    X(STRING, "string")

/** NONE: nothing was seen that would tell. */
enum catalog_type {
#define X(name, text) CATALOG_TYPE_##name,
    CATALOG_TYPE_MAP(X)
#undef X
};

/** "bigint" and so on; "string" for NONE, since every value fits it. */
const char *catalog_type_name(enum catalog_type type);
/** NONE for "", STRING for anything else that is not one of the four names. */
enum catalog_type catalog_type_parse(const char *name);

/** The narrowest type that holds both. */
enum catalog_type catalog_type_widen(enum catalog_type a, enum catalog_type b);

/** What one field is. Spaces around numbers and times are ignored. `ret_exact` (may be NULL) is
 * false for an integer that a double cannot hold exactly. */
enum catalog_type catalog_type_of(const char *text, size_t len, bool *ret_exact);
/** Whether the field says "no value" in a column of `type`: empty, blank, or "NaN" and the like. */
bool catalog_type_is_null(enum catalog_type type, const char *text, size_t len);

/** The field as we write it: a number plainly, a time as "YYYY-MM-DD HH:MM:SS" (with a fraction
 * only where there is one), a string as it is; nothing for no value. Not quoted. False when the
 * text is not of that type; `out` is then untouched. */
bool catalog_type_clean(enum catalog_type type, const char *text, size_t len, struct strbuf *out);
