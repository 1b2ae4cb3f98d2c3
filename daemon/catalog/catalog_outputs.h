/** @file
 * `outputs`, `frames`, `flashes` and the rows of every crawled CSV table: what was made, from what.
 *
 * Thread:     a lane's.
 */
#pragma once

#include "daemon/catalog/catalog_tables.h"

struct catalog_output {
    const char *key;
    uint64_t bytes;
    const char *sha256; /**< Hex. */
    const char *kind;   /**< "frames", "flashes", "image", "sheet", "packed", "table", "catalog",
                         * "manifest". */
};

/** Forget all rows of `source` in outputs, frames, flashes and crawled tables. */
enum rc catalog_outputs_clear(struct db *db, int64_t source, struct err *err);
enum rc catalog_output_add(struct db *db, int64_t source, uint64_t job,
                           const struct catalog_output *output, struct err *err);
/** Load a CSV as we publish it (UTF-8, comma, header first) into the SQL table `table`, adding
 * columns it lacks. Typed by the data catalog ("processed", else "raw"); columns that it does not
 * know are strings. `table` is "frames", "flashes", or a crawled table's name. RC_CORRUPT for rows
 * that do not fit the header. */
enum rc catalog_rows_load(struct db *db, int64_t source, const char *table, const char *csv,
                          size_t len, struct err *err);

/** The columns of `frames` and `flashes`, for the data catalog. */
extern const struct catalog_column catalog_frames_columns[];
extern const unsigned catalog_frames_column_count;
extern const struct catalog_column catalog_flashes_columns[];
extern const unsigned catalog_flashes_column_count;
