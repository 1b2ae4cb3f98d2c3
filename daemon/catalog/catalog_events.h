/** @file
 * `events`: the rows of SEVIR's catalog, by the CATALOG.csv they came from.
 *
 * Two catalogs may hold the same row (a subset beside the full one): rows are kept by source, and the
 * view `events` shows the newest source's of each (file_name, file_index, img_type, id).
 */
#pragma once

#include "daemon/catalog/catalog.h"
#include "lib/base/arena.h"
#include "lib/sevir/catalog_row.h"

/** Forget the rows of `source` (before loading its new version, or when it is gone). */
enum rc catalog_events_clear(struct db *db, int64_t source, struct err *err);
/** Append one row in file order; `ordinal` counts from 0. */
enum rc catalog_events_add(struct db *db, int64_t source, uint64_t ordinal,
                           const struct catalog_row *row, struct err *err);
/** After the last row, or after a clear: decide which source shows. */
enum rc catalog_events_settle(struct db *db, int64_t source, struct err *err);

/** The rows of the HDF5 file at `key`: those whose file_name matches the key (naming_file_matches);
 * else, those whose file_name has the key's base name, if they all mean one file. In the order of
 * file_index, then of the catalog. Strings and the array live in `arena`. */
enum rc catalog_events_of_file(struct db *db, const char *key, struct arena *arena,
                               struct catalog_row **ret_rows, size_t *ret_count, struct err *err);
/** SHA-256 (hex) over the rows that catalog_events_of_file() gives; "" when there are none. */
enum rc catalog_events_digest(struct db *db, const char *key, char ret_hex[65], struct err *err);
