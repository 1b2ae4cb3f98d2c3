/** @file
 * catalog.db: the data catalog (databases, tables, columns, partitions, versions), layouts, the
 * rows of SEVIR's catalog (`events`), and what extraction produced (`frames`, `flashes`,
 * `outputs`).
 *
 * A room of its own because crawl writes it, extraction and the API read it, and no stage may
 * include another. The sibling headers hold functions on an open `struct db *`, to be called inside
 * catalog_write() or catalog_read():
 *
 *     catalog_types    what a value is, and how types widen (pure)
 *     catalog_tables   databases, tables, partitions, versions; layouts; schemas of CSV objects
 *     catalog_events   the rows of CATALOG.csv
 *     catalog_outputs  outputs, frames, flashes, rows of crawled tables
 *     catalog_query    one read-only SQL statement
 *     catalog_show     tables as JSON
 *
 * Everything is keyed by the source object's `source` id (a row of `sources`: bucket, key), so that
 * superseding and retiring are one DELETE a table. Rows carry it in a column that people do not
 * see: storage tables hold it, and views of the names that people use leave it out.
 *
 * Thread:     the loop's; the functions passed in run on a lane.
 */
#pragma once

#include "lib/db/db_lane.h"

struct catalog;

/** Opens or creates DIR/catalog.db and migrates it. `state_path` is attached read-only, as `state`,
 * to readers, so that `objects` can be queried; NULL: there is no such view. */
enum rc catalog_open(struct loop *loop, struct work *work, const char *dir, const char *state_path,
                     int64_t query_limit_ms, struct catalog **ret_catalog, struct err *err);
/** Whether there was no file: with jobs DONE, somebody took it away, and `rebuild` fills it. */
bool catalog_is_new(const struct catalog *catalog);
/** Commits wait for company from now on, as `gather` says. */
void catalog_gather(struct catalog *catalog, struct gather *gather);
/** Requires: nothing submitted that has not completed. */
void catalog_close(struct catalog *catalog);
SCOPED_FN(struct catalog, catalog_close)

void catalog_write(struct catalog *catalog, db_lane_fn *fn, db_lane_done_fn *done, void *arg);
void catalog_read(struct catalog *catalog, db_lane_fn *fn, db_lane_done_fn *done, void *arg);
/** How many writes there were: what was read is still so while this is the same, but for writes
 * that were under way. */
uint64_t catalog_writes(const struct catalog *catalog);
/** Reads and writes submitted and not completed. */
unsigned catalog_pending(const struct catalog *catalog);

/** The `sources` row of an object, made if it is new. */
enum rc catalog_source(struct db *db, const char *bucket, const char *key, int64_t *ret_source,
                       struct err *err);
/** Its id, or 0 when there is none. */
enum rc catalog_source_find(struct db *db, const char *bucket, const char *key, int64_t *ret_source,
                            struct err *err);
/** Forget everything that is known of, or was made from, the object: events, tables' partitions,
 * layouts, schema, outputs, rows, and the source itself. Table definitions and their versions stay.
 * 0 (no such source) is fine. Tell job_queue_catalog_changed() afterwards. */
enum rc catalog_source_retire(struct db *db, int64_t source, struct err *err);
