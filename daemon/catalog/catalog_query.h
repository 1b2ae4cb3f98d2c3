/** @file
 * One read-only SQL statement over `events`, `frames`, `flashes`, `outputs`, `objects`, the data
 * catalog and every crawled table.
 *
 * Only reading is possible: an authorizer refuses everything else while the statement is compiled,
 * on a connection that could not write anyway. Rows, bytes and time are bounded.
 *
 * Thread:     a reader lane's: call it inside catalog_read().
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "daemon/catalog/catalog.h"
#include "daemon/catalog/catalog_result.h"
#include "lib/base/str.h"

#define CATALOG_QUERY_ROWS 10000
#define CATALOG_QUERY_BYTES (16u << 20)

struct catalog_query {
    const char *sql;
    enum catalog_format format;
    uint64_t max_rows;  /**< 0: CATALOG_QUERY_ROWS. */
    uint64_t max_bytes; /**< Of output; 0: CATALOG_QUERY_BYTES. */
};

struct catalog_query_result {
    uint64_t rows;
    unsigned columns;
    bool truncated; /**< There was more than the limits let through. */
};

/** Append {"columns":[…],"types":[…],"rows":[[…]],"truncated":bool}, or CSV with a header, to
 * `out`. Blobs are hex text. RC_INVALID with SQLite's words for SQL that is wrong, for several
 * statements, for writes, for nothing; RC_TIMEOUT when the reader's limit ends it; RC_LIMIT for a
 * value that is too long. `out` is untouched then. */
enum rc catalog_query_run(struct db *db, const struct catalog_query *query, struct strbuf *out,
                          struct catalog_query_result *ret_result, struct err *err);
