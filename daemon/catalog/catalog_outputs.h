/** @file
 * `outputs`, `frames`, `flashes` and the rows of every crawled CSV table: what was made, from what.
 */
#pragma once

#include "daemon/catalog/catalog.h"

struct catalog_output {
    const char *key;
    uint64_t bytes;
    const char *sha256; /**< Hex. */
    const char *kind;   /**< "frames", "flashes", "image", "sheet", "table", "catalog", "manifest". */
};

/** Forget all rows of `source` in outputs, frames, flashes and crawled tables. */
enum rc catalog_outputs_clear(struct db *db, int64_t source, struct err *err);
enum rc catalog_output_add(struct db *db, int64_t source, uint64_t job,
                           const struct catalog_output *output, struct err *err);
/** Load a CSV as we publish it (UTF-8, comma, header first) into the SQL table `table`, adding columns
 * it lacks. Typed by the data catalog. `table` is "frames", "flashes", or a crawled table's name. */
enum rc catalog_rows_load(struct db *db, int64_t source, const char *table, const char *csv,
                          size_t len, struct err *err);
