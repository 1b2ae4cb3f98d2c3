/** @file
 * Whether a statement only reads, told from its words: for an engine that is not ours and has no
 * authorizer. One statement that begins with SELECT, WITH, SHOW, DESCRIBE or EXPLAIN (of a SELECT)
 * is taken; text, names in quotes and comments are passed over. Pure.
 *
 * Thread:     any.
 */
#pragma once

#include "lib/base/rc.h"

#define SQL_ONLY_READS "a query only reads: write SELECT or WITH ... SELECT"

/** RC_INVALID says what it is instead, in the words that the local engine uses. */
enum rc sql_check_reads(const char *sql, struct err *err);
