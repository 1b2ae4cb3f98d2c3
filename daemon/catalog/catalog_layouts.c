/** @file
 * What was learnt of single objects: the layout of an HDF5 file, the schema of a CSV file.
 */
#include "daemon/catalog/catalog_p.h"
#include "lib/base/mem.h"

#define SUMMARY_DATASETS 4u

/** "vil uint8 851x384x384x49 contiguous at 2048; id S10 851 …": for people, so the first few. */
static void summarize(const struct layout *layout, struct strbuf *out)
{
    unsigned shown = MIN_OF(layout->dataset_count, SUMMARY_DATASETS);

    for (unsigned i = 0; i < shown; i++) {
        const struct layout_dataset *dataset = &layout->datasets[i];

        strbuf_printf(out, "%s%s %s", i > 0 ? "; " : "", dataset->name, dataset->dtype.text);
        for (unsigned d = 0; d < dataset->rank; d++) {
            strbuf_printf(out, "%c%llu", d == 0 ? ' ' : 'x', (unsigned long long)dataset->dims[d]);
        }
        strbuf_putc(out, ' ');
        layout_describe(dataset, out);
    }
    if (shown < layout->dataset_count) {
        strbuf_printf(out, "; and %u more", layout->dataset_count - shown);
    }
}

enum rc catalog_layout_put(struct db *db, int64_t source, const char *etag, const void *bytes,
                           size_t len, struct err *err)
{
    scoped(strbuf_done) struct strbuf summary = {0};
    scoped(layout_free) struct layout *layout = NULL;
    struct db_stmt *q;

    if (layout_decode(bytes, len, &layout, err) != RC_OK) {
        return err->rc;
    }
    q = db_prepare(
        db,
        "INSERT OR REPLACE INTO layouts (source, etag, bytes, file_size, datasets, summary)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        err);
    if (q == NULL) {
        return err->rc;
    }
    summarize(layout, &summary);
    db_bind_int(q, 1, source);
    db_bind_text(q, 2, etag);
    db_bind_blob(q, 3, bytes, len);
    db_bind_int(q, 4, (int64_t)layout->file_size);
    db_bind_int(q, 5, layout->dataset_count);
    db_bind_text(q, 6, strbuf_text(&summary));
    return db_run(q, err);
}

enum rc catalog_layout_get(struct db *db, int64_t source, const char *etag,
                           struct layout **ret_layout, struct err *err)
{
    struct db_stmt *q =
        db_prepare(db, "SELECT bytes FROM layouts WHERE source = ? AND etag = ?", err);
    const void *bytes;
    size_t len;
    enum rc rc;

    if (q == NULL) {
        return err->rc;
    }
    db_bind_int(q, 1, source);
    db_bind_text(q, 2, etag);
    if (!db_step(q, err)) {
        return db_failed(q) ? err->rc
                            : err_set(err, RC_NOT_FOUND, "no layout of version '%s'", etag);
    }
    bytes = db_blob(q, 0, &len);
    rc = layout_decode(bytes, len, ret_layout, err);
    db_reset(q);
    return rc;
}

static enum rc put_schema(struct db *db, int64_t source, const char *etag,
                          const struct catalog_csv_schema *schema, struct err *err)
{
    struct db_stmt *q = db_prepare(db,
                                   "INSERT OR REPLACE INTO csv_schemas"
                                   " (source, etag, table_name, delimiter, gzip, bom, header, rows)"
                                   " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                                   err);

    if (q == NULL) {
        return err->rc;
    }
    db_bind_int(q, 1, source);
    db_bind_text(q, 2, etag);
    db_bind_text(q, 3, schema->table);
    db_bind_text(q, 4, (char[]){schema->dialect.delimiter, '\0'});
    db_bind_int(q, 5, schema->dialect.gzip);
    db_bind_int(q, 6, schema->dialect.bom);
    db_bind_int(q, 7, schema->header);
    db_bind_int(q, 8, (int64_t)schema->rows);
    return db_run(q, err);
}

enum rc catalog_csv_schema_put(struct db *db, int64_t source, const char *etag,
                               const struct catalog_csv_schema *schema, struct err *err)
{
    struct db_stmt *q = db_prepare(db, "DELETE FROM csv_columns WHERE source = ?", err);

    if (q == NULL) {
        return err->rc;
    }
    db_bind_int(q, 1, source);
    if (db_run(q, err) != RC_OK || put_schema(db, source, etag, schema, err) != RC_OK) {
        return err->rc;
    }
    for (unsigned i = 0; i < schema->column_count; i++) {
        q = db_prepare(db,
                       "INSERT INTO csv_columns (source, position, name, type, comment)"
                       " VALUES (?, ?, ?, ?, ?)",
                       err);
        if (q == NULL) {
            return err->rc;
        }
        db_bind_int(q, 1, source);
        db_bind_int(q, 2, i);
        db_bind_text(q, 3, schema->columns[i].name);
        db_bind_text(q, 4, schema->columns[i].type);
        db_bind_text(q, 5, schema->columns[i].comment);
        if (db_run(q, err) != RC_OK) {
            return err->rc;
        }
    }
    return RC_OK;
}

static enum rc get_columns(struct db *db, int64_t source, struct arena *arena,
                           struct catalog_csv_schema *schema, struct err *err)
{
    struct catalog_column *columns;
    struct db_stmt *q = db_prepare(
        db, "SELECT name, type, comment FROM csv_columns WHERE source = ? ORDER BY position", err);
    unsigned count = 0;

    if (q == NULL) {
        return err->rc;
    }
    columns = arena_alloc(arena, MAX_OF(schema->column_count, 1u) * sizeof(*columns));
    db_bind_int(q, 1, source);
    while (count < schema->column_count && db_step(q, err)) {
        columns[count++] = (struct catalog_column){
            .name = arena_dup(arena, db_text(q, 0)),
            .type = arena_dup(arena, db_text(q, 1)),
            .comment = db_is_null(q, 2) ? NULL : arena_dup(arena, db_text(q, 2)),
        };
    }
    if (db_failed(q)) {
        return err->rc;
    }
    db_reset(q);
    schema->columns = columns;
    schema->column_count = count;
    return RC_OK;
}

enum rc catalog_csv_schema_get(struct db *db, int64_t source, const char *etag, struct arena *arena,
                               struct catalog_csv_schema *ret_schema, struct err *err)
{
    struct catalog_csv_schema schema;
    struct db_stmt *q =
        db_prepare(db,
                   "SELECT table_name, delimiter, gzip, bom, header, rows,"
                   " (SELECT count(*) FROM csv_columns AS c WHERE c.source = s.source)"
                   " FROM csv_schemas AS s WHERE source = ? AND etag = ?",
                   err);

    if (q == NULL) {
        return err->rc;
    }
    db_bind_int(q, 1, source);
    db_bind_text(q, 2, etag);
    if (!db_step(q, err)) {
        return db_failed(q) ? err->rc
                            : err_set(err, RC_NOT_FOUND, "no schema of version '%s'", etag);
    }
    schema = (struct catalog_csv_schema){
        .table = arena_dup(arena, db_text(q, 0)),
        .dialect = {.delimiter = db_text(q, 1)[0],
                    .gzip = db_int(q, 2) != 0,
                    .bom = db_int(q, 3) != 0},
        .header = db_int(q, 4) != 0,
        .rows = (uint64_t)db_int(q, 5),
        .column_count = (unsigned)db_int(q, 6),
    };
    db_reset(q);
    if (get_columns(db, source, arena, &schema, err) != RC_OK) {
        return err->rc;
    }
    *ret_schema = schema;
    return RC_OK;
}
