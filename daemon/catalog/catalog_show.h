/** @file
 * The data catalog as JSON, for /v1/tables and `sevirctl tables`.
 *
 * Thread:     a lane's.
 */
#pragma once

#include "daemon/catalog/catalog.h"
#include "lib/base/str.h"

/** {"tables":[{"database","name","format","location","version","columns","partitions","objects",
 * "created","updated"}]}, by database and name; counts are numbers. */
enum rc catalog_tables_json(struct db *db, struct strbuf *out, struct err *err);

/** One table:
 * {"database","name","format","location","version","created","updated","columns":[{"name","type",
 * "comment"}],"partition_keys":[…],"partitions":[{"values","location","objects"}],"versions":[{"version",
 * "created","change"}],"objects":[{"bucket","key","etag","bytes","datasets","summary"}]}. `name` is
 * "vil" or "raw.vil"; without a database "raw" goes first. At most 1,000 partitions and objects are
 * listed; "partition_count" and "object_count" say how many there are. RC_NOT_FOUND names the
 * nearest. */
enum rc catalog_table_json(struct db *db, const char *name, struct strbuf *out, struct err *err);
