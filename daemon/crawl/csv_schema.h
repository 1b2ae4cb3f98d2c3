/** @file
 * The schema of a CSV file, learnt from all of its rows: header, names, types. Pure.
 *
 * The first row is a header unless something in it is a number or a time; its width is the table's,
 * and a row of another width ends the reading (RC_INVALID with its line). Types widen row by row
 * (daemon/catalog/catalog_types.h); what an empty column is, only another file can tell.
 *
 * Thread:     any; one at a time a schema.
 */
#pragma once

#include "daemon/catalog/catalog_tables.h"
#include "lib/base/arena.h"
#include "lib/data/csv.h"

/** What a table of SQLite can have, less what is ours. */
#define CSV_SCHEMA_COLUMNS_MAX 1900
#define CSV_SCHEMA_NAME_MAX 128

struct csv_schema;

struct csv_schema *csv_schema_new(void);
void csv_schema_free(struct csv_schema *schema);
SCOPED_FN(struct csv_schema, csv_schema_free)

/** The next row, the first one included. */
enum rc csv_schema_row(struct csv_schema *schema, const struct csv_row *row, struct err *err);
uint64_t csv_schema_rows(const struct csv_schema *schema);
/** After the last row: header, rows, columns (in `arena`) of `ret_schema`; the rest of it is the
 * caller's. Requires: there was a row. */
void csv_schema_end(struct csv_schema *schema, struct arena *arena,
                    struct catalog_csv_schema *ret_schema);

/** Names stay; types and the number of rows become unknown. */
void csv_schema_forget_types(struct arena *arena, struct catalog_csv_schema *schema);

/** A column's name from what the header says: lower case letters, digits and '_'; "column_3" when
 * nothing is left. The caller frees. */
char *csv_schema_name(const char *text, unsigned index);
