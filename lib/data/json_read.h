/** @file
 * Members of JSON objects that come from outside, each with its type checked. Pure.
 *
 * Thread:     any.
 * Ownership:  what is answered is the document's.
 */
#pragma once

#include <jansson.h>

#include "lib/base/digest.h"

/** NULL: there is none, it is no text, or there is a NUL in it. */
const char *json_read_text(const json_t *object, const char *name);
/** False: there is none, or it is no whole number from 0 on. */
bool json_read_u64(const json_t *object, const char *name, uint64_t *ret_value);
/** The same for a number that may be missing, which is 0. */
bool json_read_count(const json_t *object, const char *name, uint64_t *ret_value);
/** `ret_flag` gets 1, 0, or -1 where there is none; false: it is something else. */
bool json_read_flag(const json_t *object, const char *name, int *ret_flag);
/** Hex in small letters. */
bool json_read_sha256(const json_t *object, const char *name, uint8_t ret_sha256[DIGEST_BYTES]);
