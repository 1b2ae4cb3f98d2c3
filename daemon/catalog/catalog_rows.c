/** @file
 * Rows of published CSV files as SQL tables: storage that follows the data catalog's columns, and a
 * loader that binds fields as libcsv finds them.
 */
#include <csv.h>
#include <inttypes.h>

#include "daemon/catalog/catalog_outputs.h"
#include "daemon/catalog/catalog_p.h"
#include "daemon/catalog/catalog_types.h"
#include "lib/base/mem.h"

/** A column of a storage table. */
struct stored {
    char *name;
    enum catalog_type type;
};

struct storage {
    const char *view;
    char *table;            /**< "frame_rows", "rows:storms". */
    struct stored *columns; /**< Without `_source`. */
    unsigned count;
};

/** What SQLite is told; the words choose its affinity (see catalog_migrate.c). */
static const char *declared(enum catalog_type type)
{
    switch (type) {
    case CATALOG_TYPE_BIGINT:
        return "BIGINT";
    case CATALOG_TYPE_DOUBLE:
        return "DOUBLE";
    case CATALOG_TYPE_TIMESTAMP:
        return "TIMESTAMP_TEXT";
    case CATALOG_TYPE_NONE: /* nothing but NULL so far: it may become anything */
        return "UNKNOWN_TEXT";
    case CATALOG_TYPE_STRING:
        break;
    }
    return "TEXT";
}

enum catalog_type catalog_type_declared(const char *decltype)
{
    static const struct {
        const char *word;
        enum catalog_type type;
    } words[] = {
        {"TIMESTAMP", CATALOG_TYPE_TIMESTAMP}, {"BIGINT", CATALOG_TYPE_BIGINT},
        {"INT", CATALOG_TYPE_BIGINT},          {"DOUBLE", CATALOG_TYPE_DOUBLE},
        {"REAL", CATALOG_TYPE_DOUBLE},         {"TEXT", CATALOG_TYPE_STRING},
    };

    for (unsigned i = 0; decltype != NULL && i < ARRAY_LEN(words); i++) {
        if (strncmp(decltype, words[i].word, strlen(words[i].word)) == 0) {
            return words[i].type;
        }
    }
    return CATALOG_TYPE_NONE;
}

static void storage_done(struct storage *storage)
{
    for (unsigned i = 0; i < storage->count; i++) {
        free(storage->columns[i].name);
    }
    free(storage->columns);
    free(storage->table);
}

static void storage_done_ptr(struct storage *storage)
{
    storage_done(storage);
}

static void add_stored(struct storage *storage, const char *name, enum catalog_type type)
{
    storage->columns = mem_resize(storage->columns, storage->count + 1, sizeof(*storage->columns));
    storage->columns[storage->count++] = (struct stored){str_dup(name), type};
}

static struct stored *find_stored(const struct storage *storage, const char *name)
{
    for (unsigned i = 0; i < storage->count; i++) {
        if (strcmp(storage->columns[i].name, name) == 0) {
            return &storage->columns[i];
        }
    }
    return NULL;
}

/** Step a statement of our own to its end. */
static enum rc step_rows(struct db *db, sqlite3_stmt *stmt, bool *ret_row, struct err *err)
{
    int code = sqlite3_step(stmt);

    *ret_row = code == SQLITE_ROW;
    return code == SQLITE_ROW || code == SQLITE_DONE ? RC_OK : db_error(db, code, "catalog", err);
}

/** The columns that the storage table has now; none: there is no such table. */
static enum rc storage_read(struct db *db, struct storage *storage, struct err *err)
{
    scoped(catalog_finalize) sqlite3_stmt *stmt =
        catalog_preparef(db, err, "SELECT name, type FROM pragma_table_info(%Q)", storage->table);
    bool row;
    enum rc rc;

    if (stmt == NULL) {
        return err->rc;
    }
    while ((rc = step_rows(db, stmt, &row, err)) == RC_OK && row) {
        const char *name = (const char *)sqlite3_column_text(stmt, 0);

        if (strcmp(name, "_source") != 0) {
            add_stored(storage, name,
                       catalog_type_declared((const char *)sqlite3_column_text(stmt, 1)));
        }
    }
    return rc;
}

/** `"a" BIGINT, "b" TEXT`, or the names alone, each with a comma in front. */
static char *column_list(const struct storage *storage, bool with_types)
{
    struct strbuf list = {0};

    for (unsigned i = 0; i < storage->count; i++) {
        char *quoted = sqlite3_mprintf(", \"%w\"", storage->columns[i].name);

        strbuf_puts(&list, quoted);
        sqlite3_free(quoted);
        if (with_types) {
            strbuf_printf(&list, " %s", declared(storage->columns[i].type));
        }
    }
    return strbuf_take(&list);
}

static enum rc make_table(struct db *db, const struct storage *storage, const char *name,
                          struct err *err)
{
    scoped(free) char *columns = column_list(storage, true);

    return catalog_execf(db, err, "CREATE TABLE \"%w\" (_source INTEGER NOT NULL%s)", name,
                         columns);
}

static enum rc make_view(struct db *db, const struct storage *storage, struct err *err)
{
    scoped(free) char *columns = column_list(storage, false);

    return catalog_execf(db, err,
                         "DROP VIEW IF EXISTS \"%w\"; CREATE VIEW \"%w\" AS SELECT %s FROM \"%w\"",
                         storage->view, storage->view, columns + 2, storage->table);
}

/** Columns changed their types: copy the rows; the new columns' affinities convert the values. */
static enum rc rebuild(struct db *db, const struct storage *storage, struct err *err)
{
    scoped(free) char *columns = column_list(storage, false);
    scoped(free) char *fresh = str_printf("%s:new", storage->table);

    if (catalog_execf(db, err, "DROP VIEW IF EXISTS \"%w\"", storage->view) != RC_OK ||
        make_table(db, storage, fresh, err) != RC_OK) {
        return err->rc;
    }
    return catalog_execf(db, err,
                         "INSERT INTO \"%w\" (_source%s) SELECT _source%s FROM \"%w\";"
                         "DROP TABLE \"%w\"; ALTER TABLE \"%w\" RENAME TO \"%w\";"
                         "CREATE INDEX \"%w:source\" ON \"%w\" (_source)",
                         fresh, columns, columns, storage->table, storage->table, fresh,
                         storage->table, storage->table, storage->table);
}

static enum rc create_storage(struct db *db, const struct storage *storage, struct err *err)
{
    if (make_table(db, storage, storage->table, err) != RC_OK ||
        catalog_execf(db, err, "CREATE INDEX \"%w:source\" ON \"%w\" (_source)", storage->table,
                      storage->table) != RC_OK) {
        return err->rc;
    }
    return make_view(db, storage, err);
}

static enum rc add_column(struct db *db, struct storage *storage, const char *name,
                          enum catalog_type type, struct err *err)
{
    if (catalog_execf(db, err, "ALTER TABLE \"%w\" ADD COLUMN \"%w\" %s", storage->table, name,
                      declared(type)) != RC_OK) {
        return err->rc;
    }
    add_stored(storage, name, type);
    return RC_OK;
}

/** The columns of the data catalog, then those of the file that it does not know. */
static enum rc wanted_columns(struct db *db, const char *table, const struct storage *header,
                              struct storage *ret_wanted, struct err *err)
{
    scoped(arena_free) struct arena *arena = arena_new();
    struct catalog_column *columns = NULL;
    unsigned count = 0;

    if (catalog_table_columns(db, "processed", table, arena, &columns, &count, err) != RC_OK &&
        (err->rc != RC_NOT_FOUND ||
         (catalog_table_columns(db, "raw", table, arena, &columns, &count, err) != RC_OK &&
          err->rc != RC_NOT_FOUND))) {
        return err->rc;
    }
    for (unsigned i = 0; i < count; i++) {
        add_stored(ret_wanted, columns[i].name, catalog_type_parse(columns[i].type));
    }
    for (unsigned i = 0; i < header->count; i++) {
        if (find_stored(ret_wanted, header->columns[i].name) == NULL) {
            add_stored(ret_wanted, header->columns[i].name, CATALOG_TYPE_STRING);
        }
    }
    return RC_OK;
}

/** Make the storage table have what is wanted, and its view show it. */
static enum rc storage_follow(struct db *db, struct storage *storage, const struct storage *wanted,
                              struct err *err)
{
    const bool is_new = storage->count == 0;
    bool added = false, retyped = false;

    for (unsigned i = 0; i < wanted->count; i++) {
        const struct stored *want = &wanted->columns[i];
        struct stored *has = find_stored(storage, want->name);

        if (has == NULL) {
            added = true;
            if (is_new) {
                add_stored(storage, want->name, want->type);
            } else if (add_column(db, storage, want->name, want->type, err) != RC_OK) {
                return err->rc;
            }
        } else if (catalog_type_widen(has->type, want->type) != has->type) {
            has->type = catalog_type_widen(has->type, want->type);
            retyped = true;
        }
    }
    if (is_new) {
        return create_storage(db, storage, err);
    }
    if (retyped && rebuild(db, storage, err) != RC_OK) {
        return err->rc;
    }
    return added || retyped ? make_view(db, storage, err) : RC_OK;
}

/* ---- loading -------------------------------------------------------------------------------- */

struct load {
    struct db *db;
    int64_t source;
    struct storage header; /**< Names of the file's columns, with the types they are stored as. */
    struct storage storage;
    sqlite3_stmt *insert;
    unsigned field;
    uint64_t row;
    struct err *err;
    enum rc rc;
};

static void load_fail(struct load *load, enum rc rc)
{
    load->rc = load->rc == RC_OK ? rc : load->rc;
}

/** Our own tables keep their columns; a crawled table follows the data catalog. */
static enum rc open_storage(struct load *load)
{
    const char *table = load->storage.view;
    scoped(storage_done) struct storage wanted = {0};
    const bool frames = strcmp(table, "frames") == 0, flashes = strcmp(table, "flashes") == 0;

    if (!frames && !flashes && catalog_name_is_reserved(table)) {
        return err_set(load->err, RC_BUG, "table '%s' cannot hold rows", table);
    }
    load->storage.table = frames    ? str_dup("frame_rows")
                          : flashes ? str_dup("flash_rows")
                                    : str_printf(CATALOG_ROWS_PREFIX "%s", table);
    if (storage_read(load->db, &load->storage, load->err) != RC_OK ||
        wanted_columns(load->db, table, &load->header, &wanted, load->err) != RC_OK) {
        return load->err->rc;
    }
    if (frames || flashes) { /* their types are the migration's */
        for (unsigned i = 0; i < wanted.count; i++) {
            const struct stored *has = find_stored(&load->storage, wanted.columns[i].name);

            wanted.columns[i].type = has != NULL ? has->type : wanted.columns[i].type;
        }
    }
    return storage_follow(load->db, &load->storage, &wanted, load->err);
}

static enum rc open_insert(struct load *load)
{
    scoped(free) char *columns = NULL;
    struct strbuf places = {0};

    if (open_storage(load) != RC_OK) {
        return load->err->rc;
    }
    for (unsigned i = 0; i < load->header.count; i++) {
        load->header.columns[i].type =
            find_stored(&load->storage, load->header.columns[i].name)->type;
        strbuf_puts(&places, ", ?");
    }
    columns = column_list(&load->header, false);
    load->insert =
        catalog_preparef(load->db, load->err, "INSERT INTO \"%w\" (_source%s) VALUES (?%s)",
                         load->storage.table, columns, strbuf_text(&places));
    strbuf_done(&places);
    return load->insert != NULL ? RC_OK : load->err->rc;
}

static int bind_field(struct load *load, int index, const char *text, size_t len)
{
    int64_t integer;
    double real;

    if (len == 0) {
        return sqlite3_bind_null(load->insert, index);
    }
    switch (load->header.columns[load->field].type) {
    case CATALOG_TYPE_BIGINT:
        if (str_to_i64(text, &integer)) {
            return sqlite3_bind_int64(load->insert, index, integer);
        }
        break;
    case CATALOG_TYPE_DOUBLE: /* SQLite's own conversion may be off by a bit */
        if (str_to_double(text, &real)) {
            return sqlite3_bind_double(load->insert, index, real);
        }
        break;
    case CATALOG_TYPE_NONE:
    case CATALOG_TYPE_TIMESTAMP:
    case CATALOG_TYPE_STRING:
        break;
    }
    return sqlite3_bind_text64(load->insert, index, text, len, SQLITE_TRANSIENT, SQLITE_UTF8);
}

static void on_field(void *bytes, size_t len, void *arg)
{
    struct load *load = arg;
    const char *text = len > 0 ? bytes : "";
    int code;

    if (load->rc != RC_OK) {
        return;
    }
    if (load->row == 0) {
        add_stored(&load->header, text, CATALOG_TYPE_STRING);
        return;
    }
    if (load->field >= load->header.count) {
        load_fail(load, err_set(load->err, RC_CORRUPT,
                                "row %" PRIu64 " has more fields than the header", load->row));
        return;
    }
    code = bind_field(load, (int)load->field + 2, text, len);
    if (code != SQLITE_OK) {
        load_fail(load, db_error(load->db, code, "catalog", load->err));
    }
    load->field++;
}

static void insert_row(struct load *load)
{
    int code;

    if (load->field != load->header.count) {
        load_fail(load,
                  err_set(load->err, RC_CORRUPT, "row %" PRIu64 " has %u fields, the header %u",
                          load->row, load->field, load->header.count));
        return;
    }
    sqlite3_bind_int64(load->insert, 1, load->source);
    code = sqlite3_step(load->insert);
    if (code != SQLITE_DONE) {
        load_fail(load, db_error(load->db, code, "catalog", load->err));
    }
    sqlite3_reset(load->insert);
}

static void on_row_end(int terminator, void *arg)
{
    struct load *load = arg;

    (void)terminator;
    if (load->rc != RC_OK) {
        return;
    }
    if (load->row == 0) {
        load_fail(load, open_insert(load));
    } else {
        insert_row(load);
    }
    load->row++;
    load->field = 0;
}

static int nothing_is_space(unsigned char c)
{
    (void)c;
    return 0;
}

static enum rc load_text(struct load *load, const char *csv, size_t len)
{
    struct csv_parser parser;
    bool whole;

    if (csv_init(&parser, CSV_STRICT | CSV_STRICT_FINI | CSV_APPEND_NULL) != 0) {
        return err_set(load->err, RC_BUG, "csv_init failed");
    }
    csv_set_space_func(&parser, nothing_is_space);
    whole = csv_parse(&parser, csv, len, on_field, on_row_end, load) == len &&
            csv_fini(&parser, on_field, on_row_end, load) == 0;
    if (load->rc == RC_OK && !whole) {
        load_fail(load, err_set(load->err, RC_CORRUPT, "row %" PRIu64 ": %s", load->row,
                                csv_strerror(csv_error(&parser))));
    }
    csv_free(&parser);
    return load->rc;
}

enum rc catalog_rows_load(struct db *db, int64_t source, const char *table, const char *csv,
                          size_t len, struct err *err)
{
    struct load load = {.db = db, .source = source, .storage = {.view = table}, .err = err};
    enum rc rc = load_text(&load, csv, len);

    sqlite3_finalize(load.insert);
    storage_done(&load.storage);
    storage_done(&load.header);
    return rc == RC_OK ? RC_OK : err_wrap(err, "rows of table '%s'", table);
}

/** The tables among those that the source feeds which hold rows, one after another in `names`, each
 * ended by NUL: they are not changed while they are looked up. The order of the join is ours: the
 * other one asks for the columns of every table there is. */
static enum rc fed_tables(struct db *db, int64_t source, struct strbuf *names, struct err *err)
{
    scoped(catalog_finalize) sqlite3_stmt *fed = catalog_preparef(
        db, err,
        "SELECT %Q || t.name FROM table_sources AS s CROSS JOIN tables AS t ON t.id = s.table_id"
        " WHERE s.source = %lld AND t.\"database\" = 'processed'"
        " AND EXISTS (SELECT 1 FROM pragma_table_info(%Q || t.name))",
        CATALOG_ROWS_PREFIX, (long long)source, CATALOG_ROWS_PREFIX);
    bool row;
    enum rc rc;

    if (fed == NULL) {
        return err->rc;
    }
    while ((rc = step_rows(db, fed, &row, err)) == RC_OK && row) {
        const char *name = (const char *)sqlite3_column_text(fed, 0);

        strbuf_add(names, name, strlen(name) + 1);
    }
    return rc;
}

enum rc catalog_rows_clear(struct db *db, int64_t source, struct err *err)
{
    scoped(strbuf_done) struct strbuf names = {0};

    if (fed_tables(db, source, &names, err) != RC_OK) {
        return err->rc;
    }
    for (const char *name = names.data; name != NULL && name < names.data + names.len;
         name += strlen(name) + 1) {
        if (catalog_execf(db, err, "DELETE FROM \"%w\" WHERE _source = %lld", name,
                          (long long)source) != RC_OK) {
            return err->rc;
        }
    }
    return RC_OK;
}
