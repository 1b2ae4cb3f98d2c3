/** @file
 * The data catalog: databases, tables, columns, partitions, table versions; and HDF5 layouts.
 *
 * Types are Glue's: "bigint", "double", "timestamp", "string". A table is defined by the objects that
 * feed it; a schema that changes makes a new version whose `change` says what changed.
 */
#pragma once

#include "daemon/catalog/catalog.h"
#include "lib/data/layout.h"

struct catalog_column {
    const char *name, *type, *comment;
};

struct catalog_table {
    const char *database; /**< "raw" for what was crawled, "processed" for what was made. */
    const char *name;
    const char *format;   /**< "csv", "hdf5". */
    const char *location; /**< URI. */
    const struct catalog_column *columns;
    unsigned column_count;
    const struct catalog_column *partition_keys;
    unsigned partition_key_count;
};

/** Creates the table, or a new version of it if its columns differ. Columns are united: one that
 * exists stays, types widen (bigint -> double -> string; timestamp -> string). `ret_version` counts
 * from 1. */
enum rc catalog_table_put(struct db *db, const struct catalog_table *table, int64_t *ret_version,
                          struct err *err);
/** `values` is "img_type=vil/year=2019/month=01"; repeated puts are one partition. */
enum rc catalog_partition_put(struct db *db, const char *database, const char *table,
                              const char *values, const char *location, int64_t source,
                              struct err *err);
/** Forget what `source` alone gave: its partitions that no other source feeds. */
enum rc catalog_source_forget(struct db *db, int64_t source, struct err *err);

/** Keep the encoded layout of this version of the object. */
enum rc catalog_layout_put(struct db *db, int64_t source, const char *etag, const void *bytes,
                           size_t len, struct err *err);
/** RC_NOT_FOUND when there is none for this etag. */
enum rc catalog_layout_get(struct db *db, int64_t source, const char *etag,
                           struct layout **ret_layout, struct err *err);
