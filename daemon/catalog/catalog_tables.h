/** @file
 * The data catalog: databases, tables, columns, partitions, table versions; what was learnt of
 * single objects: HDF5 layouts and the schemas of CSV files.
 *
 * Types are Glue's: "bigint", "double", "timestamp", "string"; HDF5 tables have "array<…>" too. A
 * table is defined by the objects that feed it; a schema that changes makes a new version whose
 * `change` says what changed. A table stays when nothing feeds it any more.
 *
 * Thread:     a lane's.
 */
#pragma once

#include "daemon/catalog/catalog.h"
#include "lib/base/arena.h"
#include "lib/data/csv.h"
#include "lib/data/layout.h"

struct catalog_column {
    const char *name;
    const char *type;    /**< "": no value was seen yet that would tell. Shown as "string". */
    const char *comment; /**< May be NULL. */
};

struct catalog_table {
    const char *database; /**< "raw" for what was crawled, "processed" for what was made. */
    const char *name;
    const char *format;   /**< "csv", "hdf5". */
    const char *location; /**< URI. */
    bool quoted;          /**< Fields of its files are quoted, or may be. */
    const struct catalog_column *columns;
    unsigned column_count;
    const struct catalog_column *partition_keys;
    unsigned partition_key_count;
};

#define CATALOG_TABLE_NAME_MAX 127

/** The name under which the object `key` is a table: naming_table(), with `suffix` ("_csv") behind
 * a name that is ours (`events`, `vil`, …) or SQL's (`order`). The caller frees. */
char *catalog_table_name(const char *key, const char *suffix);

/** Creates the table, or a new version of it if its columns differ. Columns are united: one that
 * exists stays, types widen (bigint -> double -> string; timestamp -> string), and what was quoted
 * once stays so. `ret_version` counts from 1. */
enum rc catalog_table_put(struct db *db, const struct catalog_table *table, int64_t *ret_version,
                          struct err *err);
/** The same for a table that is there, whose format and place stay: what was learnt of its columns
 * later. RC_NOT_FOUND without one. */
enum rc catalog_table_unite(struct db *db, const char *database, const char *name,
                            const struct catalog_column *columns, unsigned count, struct err *err);
/** Note that `source` feeds the table (its partitions say so by themselves). RC_NOT_FOUND without
 * such a table. */
enum rc catalog_table_feed(struct db *db, const char *database, const char *table, int64_t source,
                           struct err *err);
/** `values` is "img_type=vil/year=2019/month=01"; repeated puts are one partition, which may be fed
 * by several sources. RC_NOT_FOUND without such a table. */
enum rc catalog_partition_put(struct db *db, const char *database, const char *table,
                              const char *values, const char *location, int64_t source,
                              struct err *err);
/** Forget what `source` alone gave to the tables of `database` (NULL: of all): its partitions that
 * no other source feeds. Before registering a new version of the object, and when it is gone. */
enum rc catalog_source_forget(struct db *db, const char *database, int64_t source, struct err *err);
/** The columns of a table without its partition keys, in their order; RC_NOT_FOUND without one. */
enum rc catalog_table_columns(struct db *db, const char *database, const char *table,
                              struct arena *arena, struct catalog_column **ret_columns,
                              unsigned *ret_count, struct err *err);

/** Keep the encoded layout of this version of the object; older versions' are dropped. */
enum rc catalog_layout_put(struct db *db, int64_t source, const char *etag, const void *bytes,
                           size_t len, struct err *err);
/** RC_NOT_FOUND when there is none for this etag. */
enum rc catalog_layout_get(struct db *db, int64_t source, const char *etag,
                           struct layout **ret_layout, struct err *err);

/** What the crawl learnt of one CSV object, for extraction to type and clean it by. */
struct catalog_csv_schema {
    const char *table; /**< Its name in the data catalog. */
    struct csv_dialect dialect;
    bool header;   /**< The first row has the names, not data. */
    uint64_t rows; /**< Without the header. */
    unsigned column_count;
    const struct catalog_column *columns; /**< Cleaned names; the comment is the name as found. */
};

/** Older versions' are dropped. */
enum rc catalog_csv_schema_put(struct db *db, int64_t source, const char *etag,
                               const struct catalog_csv_schema *schema, struct err *err);
/** Strings and columns live in `arena`. RC_NOT_FOUND when there is none for this etag. */
enum rc catalog_csv_schema_get(struct db *db, int64_t source, const char *etag, struct arena *arena,
                               struct catalog_csv_schema *ret_schema, struct err *err);
