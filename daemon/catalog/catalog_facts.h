/** @file
 * Sums kept beside the rows, so that a chart over millions of frames reads some thousand rows.
 *
 *     frame_rows, flash_rows -> frame_facts   one row a source, event and type
 *     event_rows, frame_facts -> event_facts  one row an event; people see it as `event_summary`
 *
 * Whoever changes rows says so in the same transaction (or, after many, in the last one): the
 * functions below bring the sums up to date.
 *
 * Thread:     a lane's.
 */
#pragma once

#include "daemon/catalog/catalog.h"

/** `events` shows other rows than before. */
enum rc catalog_facts_events(struct db *db, struct err *err);
/** All rows of `source` in `frames` and `flashes` are there. May be repeated. */
enum rc catalog_facts_loaded(struct db *db, int64_t source, struct err *err);
/** They are gone. */
enum rc catalog_facts_cleared(struct db *db, int64_t source, struct err *err);
