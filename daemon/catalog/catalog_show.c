/** @file
 * Tables as JSON: each list is one statement whose columns become the members of its objects.
 */
#include "daemon/catalog/catalog_show.h"

#include <inttypes.h>

#include "daemon/catalog/catalog_p.h"
#include "lib/base/mem.h"

#define LISTED "1000"

/** The rows of a statement as objects between brackets. `names` are the members, in the order of
 * the columns; one that begins with '#' is a number. */
static enum rc add_objects(struct db_stmt *q, const char *const *names, unsigned count,
                           struct strbuf *out, struct err *err)
{
    bool first = true;

    strbuf_putc(out, '[');
    while (db_step(q, err)) {
        strbuf_puts(out, first ? "{" : ",{");
        first = false;
        for (unsigned i = 0; i < count; i++) {
            const bool number = names[i][0] == '#';

            strbuf_printf(out, "%s\"%s\":", i > 0 ? "," : "", names[i] + number);
            if (number) {
                strbuf_printf(out, "%" PRId64, db_int(q, (int)i));
            } else if (db_is_null(q, (int)i)) {
                strbuf_puts(out, "null");
            } else {
                strbuf_json(out, db_text(q, (int)i));
            }
        }
        strbuf_putc(out, '}');
    }
    strbuf_putc(out, ']');
    return db_failed(q) ? err->rc : RC_OK;
}

#define PARTITIONS_OF "(SELECT count(*) FROM partitions AS p WHERE p.table_id = t.id)"
#define OBJECTS_OF "(SELECT count(*) FROM table_sources AS f WHERE f.table_id = t.id)"

enum rc catalog_tables_json(struct db *db, struct strbuf *out, struct err *err)
{
    static const char *const names[] = {"database", "name",     "format",      "location",
                                        "#version", "#columns", "#partitions", "#objects",
                                        "created",  "updated"};
    struct db_stmt *q = db_prepare(
        db,
        "SELECT \"database\", name, format, location, version,"
        " (SELECT count(*) FROM columns AS c WHERE c.table_id = t.id AND partition_key = 0),"
        " " PARTITIONS_OF ", " OBJECTS_OF ", created, updated"
        " FROM tables AS t ORDER BY \"database\" DESC, name",
        err);
    const size_t before = out->len;

    if (q == NULL) {
        return err->rc;
    }
    strbuf_puts(out, "{\"tables\":");
    if (add_objects(q, names, ARRAY_LEN(names), out, err) != RC_OK) {
        out->len = before;
        return err->rc;
    }
    strbuf_putc(out, '}');
    return RC_OK;
}

/* ---- one table ------------------------------------------------------------------------------ */

static const char *const column_names[] = {"name", "type", "comment"};
static const char *const partition_names[] = {"values", "location", "created", "#objects"};
static const char *const version_names[] = {"#version", "created", "change"};
static const char *const object_names[] = {"bucket", "key",       "etag",
                                           "#bytes", "#datasets", "summary"};

/** The lists of a table: member, statement with the table's id as ?1, names. */
static const struct {
    const char *member, *sql;
    const char *const *names;
    unsigned count;
} lists[] = {
    {"columns",
     "SELECT name, iif(type = '', 'string', type), coalesce(comment, '') FROM columns"
     " WHERE table_id = ?1 AND partition_key = 0 ORDER BY position",
     column_names, ARRAY_LEN(column_names)},
    {"partition_keys",
     "SELECT name, iif(type = '', 'string', type), coalesce(comment, '') FROM columns"
     " WHERE table_id = ?1 AND partition_key = 1 ORDER BY position",
     column_names, ARRAY_LEN(column_names)},
    {"partitions",
     "SELECT \"values\", location, created, (SELECT count(*) FROM partition_sources AS f"
     "  WHERE f.partition_id = p.id)"
     " FROM partitions AS p WHERE table_id = ?1 ORDER BY \"values\" LIMIT " LISTED,
     partition_names, ARRAY_LEN(partition_names)},
    {"versions",
     "SELECT version, created, change FROM table_versions WHERE table_id = ?1 ORDER BY version",
     version_names, ARRAY_LEN(version_names)},
    {"objects",
     "SELECT s.bucket, s.key, coalesce(l.etag, c.etag), l.file_size, l.datasets,"
     " coalesce(l.summary, c.rows || ' rows' || iif(c.gzip, ', gzip', '')"
     "  || iif(c.delimiter = ',', '', ', delimiter ' || quote(c.delimiter))"
     "  || iif(c.header, '', ', no header'), '')"
     " FROM table_sources AS f JOIN sources AS s ON s.id = f.source"
     " LEFT JOIN layouts AS l ON l.source = s.id LEFT JOIN csv_schemas AS c ON c.source = s.id"
     " WHERE f.table_id = ?1 ORDER BY s.bucket, s.key LIMIT " LISTED,
     object_names, ARRAY_LEN(object_names)},
};

/** The table that a name means: "raw.vil", or "vil" in the first database that has it. */
static enum rc resolve(struct db *db, const char *name, int64_t *ret_table, struct err *err)
{
    const char *dot = strchr(name, '.');
    scoped(free) char *database = dot != NULL ? str_dup_n(name, (size_t)(dot - name)) : NULL;
    int64_t table = 0;

    if (dot != NULL) {
        if (catalog_table_find(db, database, dot + 1, &table, err) != RC_OK) {
            return err->rc;
        }
    } else if (catalog_table_find(db, "raw", name, &table, err) != RC_OK ||
               (table == 0 && catalog_table_find(db, "processed", name, &table, err) != RC_OK)) {
        return err->rc;
    }
    *ret_table = table;
    return RC_OK;
}

/** "no table 'vill', did you mean 'vil'?" */
static enum rc not_found(struct db *db, const char *name, struct err *err)
{
    struct db_stmt *q = db_prepare(db, "SELECT name FROM tables", err);
    scoped(free) char *nearest = NULL;
    unsigned distance = 4;

    if (q == NULL) {
        return err->rc;
    }
    while (db_step(q, err)) {
        unsigned d = str_distance(db_text(q, 0), name);

        if (d < distance) {
            distance = d;
            free(nearest);
            nearest = str_dup(db_text(q, 0));
        }
    }
    if (nearest != NULL) {
        return err_set(err, RC_NOT_FOUND, "no table '%s', did you mean '%s'?", name, nearest);
    }
    return err_set(err, RC_NOT_FOUND, "no table '%s'", name);
}

static enum rc add_table(struct db *db, int64_t table, struct strbuf *out, struct err *err)
{
    static const char *const names[] = {"database",     "name",    "format",  "location",
                                        "#version",     "created", "updated", "#partition_count",
                                        "#object_count"};
    scoped(strbuf_done) struct strbuf head = {0};
    struct db_stmt *q =
        db_prepare(db,
                   "SELECT \"database\", name, format, location, version, created,"
                   " updated, " PARTITIONS_OF ", " OBJECTS_OF " FROM tables AS t WHERE id = ?",
                   err);

    if (q == NULL) {
        return err->rc;
    }
    db_bind_int(q, 1, table);
    if (add_objects(q, names, ARRAY_LEN(names), &head, err) != RC_OK) {
        return err->rc;
    }
    strbuf_add(out, head.data + 1, head.len - 3); /* "[{...}]" without "[" and "}]" */
    for (unsigned i = 0; i < ARRAY_LEN(lists); i++) {
        q = db_prepare(db, lists[i].sql, err);
        if (q == NULL) {
            return err->rc;
        }
        db_bind_int(q, 1, table);
        strbuf_printf(out, ",\"%s\":", lists[i].member);
        if (add_objects(q, lists[i].names, lists[i].count, out, err) != RC_OK) {
            return err->rc;
        }
    }
    strbuf_putc(out, '}');
    return RC_OK;
}

enum rc catalog_table_json(struct db *db, const char *name, struct strbuf *out, struct err *err)
{
    scoped(strbuf_done) struct strbuf text = {0};
    int64_t table = 0;

    if (resolve(db, name, &table, err) != RC_OK) {
        return err->rc;
    }
    if (table == 0) {
        return not_found(db, name, err);
    }
    if (add_table(db, table, &text, err) != RC_OK) {
        return err->rc;
    }
    strbuf_add(out, text.data, text.len);
    return RC_OK;
}
