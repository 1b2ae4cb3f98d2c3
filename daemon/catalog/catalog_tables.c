/** @file
 * Tables, the union of their columns, and the partitions that feed them.
 */
#include "daemon/catalog/catalog_tables.h"

#include <inttypes.h>

#include "daemon/catalog/catalog_p.h"
#include "daemon/catalog/catalog_types.h"
#include "lib/base/mem.h"
#include "lib/base/now.h"
#include "lib/sevir/naming.h"

static void now_text(char ret_text[NOW_TEXT])
{
    now_format_utc(now_wall_ms() / 1000, ret_text);
}

bool catalog_name_is_reserved(const char *name)
{
    static const char *const ours[] = {
        "catalog",        "columns",     "csv_columns",   "csv_schemas",
        "databases",      "event_facts", "event_loads",   "event_rows",
        "event_summary",  "events",      "fact_changes",  "flash_rows",
        "flashes",        "frame_facts", "frame_rows",    "frames",
        "jobs",           "layouts",     "main",          "objects",
        "output_rows",    "outputs",     "partitions",    "partition_sources",
        "sources",        "state",       "table_sources", "tables",
        "table_versions", "temp",        "transitions",
    };
    enum sevir_type type;

    for (unsigned i = 0; i < ARRAY_LEN(ours); i++) {
        if (strcmp(ours[i], name) == 0) {
            return true;
        }
    }
    return sevir_type_parse(name, &type) || str_starts(name, "sqlite_") ||
           str_starts(name, "pragma_") || sqlite3_keyword_check(name, (int)strlen(name)) != 0;
}

char *catalog_table_name(const char *key, const char *suffix)
{
    scoped(free) char *name = naming_table(key);

    if (strlen(name) + strlen(suffix) > CATALOG_TABLE_NAME_MAX) {
        name[CATALOG_TABLE_NAME_MAX - strlen(suffix)] = '\0';
    }
    return catalog_name_is_reserved(name) ? str_printf("%s%s", name, suffix) : TAKE(name);
}

enum rc catalog_table_find(struct db *db, const char *database, const char *name,
                           int64_t *ret_table, struct err *err)
{
    struct db_stmt *q =
        db_prepare(db, "SELECT id FROM tables WHERE \"database\" = ? AND name = ?", err);
    int64_t table = 0;

    if (q == NULL) {
        return err->rc;
    }
    db_bind_text(q, 1, database);
    db_bind_text(q, 2, name);
    if (db_step(q, err)) {
        table = db_int(q, 0);
        db_reset(q);
    } else if (db_failed(q)) {
        return err->rc;
    }
    *ret_table = table;
    return RC_OK;
}

static enum rc require_table(struct db *db, const char *database, const char *name,
                             int64_t *ret_table, struct err *err)
{
    int64_t table = 0;

    if (catalog_table_find(db, database, name, &table, err) != RC_OK) {
        return err->rc;
    }
    if (table == 0) {
        return err_set(err, RC_NOT_FOUND, "no table '%s.%s'", database, name);
    }
    *ret_table = table;
    return RC_OK;
}

/* ---- the union of columns ------------------------------------------------------------------- */

/** The columns of a table while another set is merged into them. */
struct merge {
    struct arena *arena;
    struct merged {
        const char *name, *type, *comment;
        bool key;
    } * columns;
    unsigned count;
    bool quoted;
    struct strbuf change; /**< "added column 'x' double; column 'y' bigint -> double" */
};

static enum rc merge_read(struct db *db, int64_t table, struct merge *merge, struct err *err)
{
    struct db_stmt *q = db_prepare(db,
                                   "SELECT name, type, comment, partition_key FROM columns"
                                   " WHERE table_id = ? ORDER BY partition_key, position",
                                   err);

    if (q == NULL) {
        return err->rc;
    }
    db_bind_int(q, 1, table);
    while (db_step(q, err)) {
        merge->columns = mem_resize(merge->columns, merge->count + 1, sizeof(*merge->columns));
        merge->columns[merge->count++] = (struct merged){
            .name = arena_dup(merge->arena, db_text(q, 0)),
            .type = arena_dup(merge->arena, db_text(q, 1)),
            .comment = db_is_null(q, 2) ? NULL : arena_dup(merge->arena, db_text(q, 2)),
            .key = db_int(q, 3) != 0,
        };
    }
    return db_failed(q) ? err->rc : RC_OK;
}

static bool is_plain_type(const char *type)
{
    return *type == '\0' || strcmp(type, catalog_type_name(catalog_type_parse(type))) == 0;
}

/** As people see it. */
static const char *shown_type(const char *type)
{
    return *type == '\0' ? catalog_type_name(CATALOG_TYPE_NONE) : type;
}

/** Types of HDF5 tables ("array<smallint>") have no order: what was seen last holds. */
static const char *widen(const char *was, const char *is)
{
    if (*is == '\0') {
        return was;
    }
    if (*was == '\0' || !is_plain_type(was) || !is_plain_type(is)) {
        return is;
    }
    return catalog_type_name(catalog_type_widen(catalog_type_parse(was), catalog_type_parse(is)));
}

static void merge_one(struct merge *merge, const struct catalog_column *column, bool key)
{
    struct merged *found = NULL;

    for (unsigned i = 0; i < merge->count && found == NULL; i++) {
        found = merge->columns[i].key == key && strcmp(merge->columns[i].name, column->name) == 0
                    ? &merge->columns[i]
                    : NULL;
    }
    if (found == NULL) {
        strbuf_printf(&merge->change, "%sadded %s '%s' %s", merge->change.len > 0 ? "; " : "",
                      key ? "partition key" : "column", column->name, shown_type(column->type));
        merge->columns = mem_resize(merge->columns, merge->count + 1, sizeof(*merge->columns));
        merge->columns[merge->count++] =
            (struct merged){column->name, column->type, column->comment, key};
        return;
    }
    const char *type = widen(found->type, column->type);

    if (strcmp(type, found->type) != 0) {
        strbuf_printf(&merge->change, "%scolumn '%s' %s -> %s", merge->change.len > 0 ? "; " : "",
                      column->name, shown_type(found->type), type);
        found->type = type;
    }
    if (column->comment != NULL) {
        found->comment = column->comment;
    }
}

static void merge_table(struct merge *merge, const struct catalog_table *table)
{
    for (unsigned i = 0; i < table->column_count; i++) {
        merge_one(merge, &table->columns[i], false);
    }
    for (unsigned i = 0; i < table->partition_key_count; i++) {
        merge_one(merge, &table->partition_keys[i], true);
    }
    if (table->quoted && !merge->quoted) {
        strbuf_printf(&merge->change, "%sfields are quoted", merge->change.len > 0 ? "; " : "");
        merge->quoted = true;
    }
}

static enum rc write_columns(struct db *db, int64_t table, const struct merge *merge,
                             struct err *err)
{
    struct db_stmt *q = db_prepare(db, "DELETE FROM columns WHERE table_id = ?", err);

    if (q == NULL) {
        return err->rc;
    }
    db_bind_int(q, 1, table);
    if (db_run(q, err) != RC_OK) {
        return err->rc;
    }
    for (unsigned i = 0; i < merge->count; i++) {
        q = db_prepare(
            db,
            "INSERT INTO columns (table_id, partition_key, position, name, type, comment)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            err);
        if (q == NULL) {
            return err->rc;
        }
        db_bind_int(q, 1, table);
        db_bind_int(q, 2, merge->columns[i].key);
        db_bind_int(q, 3, i);
        db_bind_text(q, 4, merge->columns[i].name);
        db_bind_text(q, 5, merge->columns[i].type);
        db_bind_text(q, 6, merge->columns[i].comment);
        if (db_run(q, err) != RC_OK) {
            return err->rc;
        }
    }
    return RC_OK;
}

static enum rc write_version(struct db *db, int64_t table, int64_t version, const char *change,
                             const struct merge *merge, struct err *err)
{
    scoped(strbuf_done) struct strbuf columns = {0};
    char now[NOW_TEXT];
    struct db_stmt *q =
        db_prepare(db,
                   "INSERT INTO table_versions (table_id, version, created, change, columns)"
                   " VALUES (?, ?, ?, ?, ?)",
                   err);

    if (q == NULL) {
        return err->rc;
    }
    for (unsigned i = 0; i < merge->count; i++) {
        strbuf_puts(&columns, i == 0 ? "{" : ",");
        strbuf_json(&columns, merge->columns[i].name);
        strbuf_putc(&columns, ':');
        strbuf_json(&columns, shown_type(merge->columns[i].type));
    }
    strbuf_puts(&columns, merge->count == 0 ? "{}" : "}");
    now_text(now);
    db_bind_int(q, 1, table);
    db_bind_int(q, 2, version);
    db_bind_text(q, 3, now);
    db_bind_text(q, 4, change);
    db_bind_text(q, 5, columns.data);
    return db_run(q, err);
}

static enum rc write_table(struct db *db, const struct catalog_table *table, int64_t version,
                           bool quoted, int64_t *ret_id, struct err *err)
{
    char now[NOW_TEXT];
    struct db_stmt *q = db_prepare(
        db,
        "INSERT INTO tables (\"database\", name, format, location, version, created, updated,"
        "  quoted)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, ?7)"
        " ON CONFLICT (\"database\", name) DO UPDATE SET format = excluded.format,"
        "  location = excluded.location, version = excluded.version, updated = excluded.updated,"
        "  quoted = excluded.quoted",
        err);

    if (q == NULL) {
        return err->rc;
    }
    now_text(now);
    db_bind_text(q, 1, table->database);
    db_bind_text(q, 2, table->name);
    db_bind_text(q, 3, table->format);
    db_bind_text(q, 4, table->location);
    db_bind_int(q, 5, version);
    db_bind_text(q, 6, now);
    db_bind_int(q, 7, quoted);
    if (db_run(q, err) != RC_OK) {
        return err->rc;
    }
    return require_table(db, table->database, table->name, ret_id, err);
}

static enum rc read_version(struct db *db, int64_t table, int64_t *ret_version, bool *ret_quoted,
                            struct err *err)
{
    struct db_stmt *q = db_prepare(db, "SELECT version, quoted FROM tables WHERE id = ?", err);

    if (q == NULL) {
        return err->rc;
    }
    db_bind_int(q, 1, table);
    *ret_version = 0;
    if (db_step(q, err)) {
        *ret_version = db_int(q, 0);
        *ret_quoted = db_int(q, 1) != 0;
        db_reset(q);
    }
    return db_failed(q) ? err->rc : RC_OK;
}

/** What a new table's first version says. */
static void describe_created(const struct catalog_table *table, struct strbuf *change)
{
    strbuf_reset(change);
    strbuf_printf(change, "created with %u column%s", table->column_count,
                  table->column_count == 1 ? "" : "s");
    for (unsigned i = 0; i < table->partition_key_count; i++) {
        strbuf_printf(change, "%s'%s'", i == 0 ? ", partitioned by " : ", ",
                      table->partition_keys[i].name);
    }
}

static enum rc put_merged(struct db *db, const struct catalog_table *table, struct merge *merge,
                          int64_t *ret_version, struct err *err)
{
    int64_t id = 0, version = 0;
    bool changed;

    if (catalog_table_find(db, table->database, table->name, &id, err) != RC_OK ||
        (id != 0 && (read_version(db, id, &version, &merge->quoted, err) != RC_OK ||
                     merge_read(db, id, merge, err) != RC_OK))) {
        return err->rc;
    }
    merge_table(merge, table);
    changed = version == 0 || merge->change.len > 0;
    if (version == 0) {
        describe_created(table, &merge->change);
    }
    version += changed ? 1 : 0;
    if (write_table(db, table, version, merge->quoted, &id, err) != RC_OK ||
        write_columns(db, id, merge, err) != RC_OK ||
        (changed &&
         write_version(db, id, version, strbuf_text(&merge->change), merge, err) != RC_OK)) {
        return err->rc;
    }
    *ret_version = version;
    return RC_OK;
}

enum rc catalog_table_put(struct db *db, const struct catalog_table *table, int64_t *ret_version,
                          struct err *err)
{
    scoped(arena_free) struct arena *arena = arena_new();
    struct merge merge = {.arena = arena};
    int64_t version = 0;
    enum rc rc = put_merged(db, table, &merge, &version, err);

    free(merge.columns);
    strbuf_done(&merge.change);
    if (rc != RC_OK) {
        return err_wrap(err, "table '%s.%s'", table->database, table->name);
    }
    *ret_version = version;
    return RC_OK;
}

enum rc catalog_table_unite(struct db *db, const char *database, const char *name,
                            const struct catalog_column *columns, unsigned count, struct err *err)
{
    scoped(arena_free) struct arena *arena = arena_new();
    struct catalog_table table = {
        .database = database, .name = name, .columns = columns, .column_count = count};
    struct db_stmt *q;
    int64_t id = 0, version;

    if (require_table(db, database, name, &id, err) != RC_OK ||
        (q = db_prepare(db, "SELECT format, location FROM tables WHERE id = ?", err)) == NULL) {
        return err->rc;
    }
    db_bind_int(q, 1, id);
    if (!db_step(q, err)) {
        return db_failed(q) ? err->rc : err_set(err, RC_NOT_FOUND, "no table '%s'", name);
    }
    table.format = arena_dup(arena, db_text(q, 0));
    table.location = arena_dup(arena, db_text(q, 1));
    db_reset(q);
    return catalog_table_put(db, &table, &version, err);
}

/* ---- what feeds a table --------------------------------------------------------------------- */

/** Run a statement with two ids. */
static enum rc run_pair(struct db *db, const char *sql, int64_t a, int64_t b, struct err *err)
{
    struct db_stmt *q = db_prepare(db, sql, err);

    if (q == NULL) {
        return err->rc;
    }
    db_bind_int(q, 1, a);
    db_bind_int(q, 2, b);
    return db_run(q, err);
}

enum rc catalog_table_feed(struct db *db, const char *database, const char *table, int64_t source,
                           struct err *err)
{
    int64_t id = 0;

    if (require_table(db, database, table, &id, err) != RC_OK) {
        return err->rc;
    }
    return run_pair(db, "INSERT OR IGNORE INTO table_sources (source, table_id) VALUES (?, ?)",
                    source, id, err);
}

static enum rc partition_id(struct db *db, int64_t table, const char *values, const char *location,
                            int64_t *ret_id, struct err *err)
{
    char now[NOW_TEXT];
    struct db_stmt *q = db_prepare(
        db,
        "INSERT INTO partitions (table_id, \"values\", location, created) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (table_id, \"values\") DO UPDATE SET location = excluded.location"
        " RETURNING id",
        err);

    if (q == NULL) {
        return err->rc;
    }
    now_text(now);
    db_bind_int(q, 1, table);
    db_bind_text(q, 2, values);
    db_bind_text(q, 3, location);
    db_bind_text(q, 4, now);
    while (db_step(q, err)) {
        *ret_id = db_int(q, 0);
    }
    return db_failed(q) ? err->rc : RC_OK;
}

enum rc catalog_partition_put(struct db *db, const char *database, const char *table,
                              const char *values, const char *location, int64_t source,
                              struct err *err)
{
    int64_t id = 0, partition = 0;

    if (require_table(db, database, table, &id, err) != RC_OK ||
        partition_id(db, id, values, location, &partition, err) != RC_OK ||
        run_pair(db, "INSERT OR IGNORE INTO partition_sources (source, partition_id) VALUES (?, ?)",
                 source, partition, err) != RC_OK) {
        return err_wrap(err, "partition '%s'", values);
    }
    return run_pair(db, "INSERT OR IGNORE INTO table_sources (source, table_id) VALUES (?, ?)",
                    source, id, err);
}

enum rc catalog_source_forget(struct db *db, const char *database, int64_t source, struct err *err)
{
    static const char *const steps[] = {
        "DELETE FROM table_sources WHERE source = ?1 AND EXISTS"
        " (SELECT 1 FROM tables AS t WHERE t.id = table_id"
        "  AND (?2 IS NULL OR t.\"database\" = ?2))",
        "DELETE FROM partition_sources WHERE source = ?1 AND EXISTS"
        " (SELECT 1 FROM partitions AS p JOIN tables AS t ON t.id = p.table_id"
        "  WHERE p.id = partition_id AND (?2 IS NULL OR t.\"database\" = ?2))",
    };
    struct db_stmt *q;

    for (unsigned i = 0; i < ARRAY_LEN(steps); i++) {
        q = db_prepare(db, steps[i], err);
        if (q == NULL) {
            return err->rc;
        }
        db_bind_int(q, 1, source);
        db_bind_text(q, 2, database);
        if (db_run(q, err) != RC_OK) {
            return err->rc;
        }
    }
    q = db_prepare(db,
                   "DELETE FROM partitions WHERE NOT EXISTS (SELECT 1 FROM partition_sources AS fed"
                   " WHERE fed.partition_id = partitions.id)",
                   err);
    return q == NULL ? err->rc : db_run(q, err);
}

enum rc catalog_table_columns(struct db *db, const char *database, const char *table,
                              struct arena *arena, struct catalog_column **ret_columns,
                              unsigned *ret_count, struct err *err)
{
    scoped(free) struct catalog_column *columns = NULL;
    struct catalog_column *kept;
    struct db_stmt *q;
    unsigned count = 0;
    int64_t id = 0;

    if (require_table(db, database, table, &id, err) != RC_OK) {
        return err->rc;
    }
    q = db_prepare(db,
                   "SELECT name, type, comment FROM columns"
                   " WHERE table_id = ? AND partition_key = 0 ORDER BY position",
                   err);
    if (q == NULL) {
        return err->rc;
    }
    db_bind_int(q, 1, id);
    while (db_step(q, err)) {
        columns = mem_resize(columns, count + 1, sizeof(*columns));
        columns[count++] = (struct catalog_column){
            .name = arena_dup(arena, db_text(q, 0)),
            .type = arena_dup(arena, db_text(q, 1)),
            .comment = db_is_null(q, 2) ? NULL : arena_dup(arena, db_text(q, 2)),
        };
    }
    if (db_failed(q)) {
        return err->rc;
    }
    kept = arena_alloc(arena, MAX_OF(count, 1u) * sizeof(*kept));
    if (count > 0) {
        memcpy(kept, columns, count * sizeof(*kept));
    }
    *ret_columns = kept;
    *ret_count = count;
    return RC_OK;
}
