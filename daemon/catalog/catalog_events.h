/** @file
 * `events`: the rows of SEVIR's catalog, by the CATALOG.csv they came from.
 *
 * Two catalogs may hold the same row (a subset beside the full one): rows are kept by load, and the
 * view `events` shows the newest load's of each (file_name, file_index, img_type, id).
 *
 * A catalog is loaded in many transactions and appears in one: begin, add in batches, settle. Rows
 * that were never settled (a crash, a mangled line 70,000) are never seen, and go with the next
 * begin.
 *
 * Thread:     a lane's.
 */
#pragma once

#include "daemon/catalog/catalog.h"
#include "lib/base/arena.h"
#include "lib/sevir/catalog_row.h"

/** A new, unseen load of `source`. What an earlier one left unsettled is dropped. */
enum rc catalog_events_begin(struct db *db, int64_t source, int64_t *ret_load, struct err *err);
/** Append one row in file order; `ordinal` counts from 0. */
enum rc catalog_events_add(struct db *db, int64_t load, uint64_t ordinal,
                           const struct catalog_row *row, struct err *err);
/** The load takes the place of all earlier ones of its source, and is the newest. */
enum rc catalog_events_settle(struct db *db, int64_t load, struct err *err);
/** Drop a load that is not to be seen. */
enum rc catalog_events_abandon(struct db *db, int64_t load, struct err *err);
/** Forget the rows of `source`, and settle. `ret_any` (may be NULL) tells whether there were any.
 */
enum rc catalog_events_clear(struct db *db, int64_t source, bool *ret_any, struct err *err);

/** The rows of the HDF5 file at `key`: those whose file_name matches the key (naming_file_matches),
 * the longest such name if there are several; else those whose file_name has the key's base name,
 * if they all mean one file. In the order of file_index, then of the catalog. Strings and the array
 * live in `arena`. */
enum rc catalog_events_of_file(struct db *db, const char *key, struct arena *arena,
                               struct catalog_row **ret_rows, size_t *ret_count, struct err *err);
/** SHA-256 (hex) over the rows that catalog_events_of_file() gives; "" when there are none. */
enum rc catalog_events_digest(struct db *db, const char *key, char ret_hex[65], struct err *err);

/** One row of a walk; it and its strings are valid during the call. Anything but RC_OK ends it. */
typedef enum rc catalog_event_fn(const struct catalog_row *row, void *arg, struct err *err);
/** Every row that `events` shows, in the catalog's order; or, with a `source` that is not 0, every
 * row of that CATALOG.csv, in the file's order. */
enum rc catalog_events_each(struct db *db, int64_t source, catalog_event_fn *fn, void *arg,
                            struct err *err);
/** Of each row: 0 when it is the catalog's first of its id and type, as nearly all are; else its
 * number, from 1, among the later ones that have its file_index too. */
enum rc catalog_events_repeats(struct db *db, const struct catalog_row *rows, size_t count,
                               unsigned *ret_repeats, struct err *err);
