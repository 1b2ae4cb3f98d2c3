/** @file
 * What was published, in the data catalog: tables of the database `processed`, their partitions,
 * and a row of `outputs` for every object made.
 */
#include "daemon/catalog/catalog_outputs.h"
#include "daemon/catalog/catalog_tables.h"
#include "daemon/catalog/catalog_types.h"
#include "daemon/job/job_remote.h"
#include "daemon/publish/publish_p.h"
#include "lib/base/mem.h"
#include "lib/sevir/catalog_row.h"

#define DATABASE "processed"

struct registration {
    struct services *services;
    const struct job *job;
    const struct job_manifest *manifest;
    int64_t *ret_source;
    store_done_fn *done;
    void *arg;
    struct arena *arena;
};

static const struct catalog_column type_year_month[] = {
    {"img_type", "string", NULL}, {"year", "bigint", NULL}, {"month", "bigint", NULL}};

/** CATALOG.csv's columns, in its order. */
static const char *const catalog_types[CATALOG_COLUMNS] = {
    "string", "string", "bigint", "string", "timestamp", "string", "bigint",
    "bigint", "string", "double", "double", "double",    "double", "string",
    "bigint", "bigint", "double", "double", "double",    "double", "double"};

static enum rc describe_catalog(struct arena *arena, struct catalog_table *table)
{
    struct catalog_column *columns = arena_alloc(arena, CATALOG_COLUMNS * sizeof(*columns));

    for (unsigned c = 0; c < CATALOG_COLUMNS; c++) {
        columns[c] = (struct catalog_column){catalog_columns[c], catalog_types[c], NULL};
    }
    table->columns = columns;
    table->column_count = CATALOG_COLUMNS;
    table->partition_keys = &type_year_month[1];
    table->partition_key_count = 2;
    return RC_OK;
}

/** What was made before manifests said so: text may be quoted. */
static bool may_be_quoted(const struct catalog_table *table)
{
    for (unsigned c = 0; c < table->column_count; c++) {
        if (catalog_type_parse(table->columns[c].type) == CATALOG_TYPE_STRING ||
            table->columns[c].type[0] == '\0') {
            return true;
        }
    }
    return false;
}

static bool is_quoted(const struct job_manifest *manifest, enum job_output_kind kind,
                      const struct catalog_table *table)
{
    bool unknown = false;

    for (size_t i = 0; i < manifest->output_count; i++) {
        const struct job_output *output = &manifest->outputs[i];

        if (output->kind == kind && output->quotes == CSV_QUOTES_SOME) {
            return true;
        }
        unknown |= output->kind == kind && output->quotes == CSV_QUOTES_UNKNOWN;
    }
    return unknown && kind == OUTPUT_TABLE && may_be_quoted(table);
}

/** The table that outputs of a kind belong to; RC_NOT_FOUND for pictures, which are in none. */
static enum rc describe(struct db *db, const struct registration *all, enum job_output_kind kind,
                        struct catalog_table *ret_table, struct err *err)
{
    struct catalog_table table = {.database = DATABASE, .format = "csv"};
    struct catalog_column *columns = NULL;

    switch (kind) {
    case OUTPUT_FRAMES:
        table.name = "frames";
        table.columns = catalog_frames_columns;
        table.column_count = catalog_frames_column_count;
        table.partition_keys = type_year_month;
        table.partition_key_count = 3;
        break;

    case OUTPUT_FLASHES:
        table.name = "flashes";
        table.columns = catalog_flashes_columns;
        table.column_count = catalog_flashes_column_count;
        table.partition_keys = &type_year_month[1];
        table.partition_key_count = 2;
        break;

    case OUTPUT_CATALOG:
        table.name = "catalog";
        describe_catalog(all->arena, &table);
        break;

    case OUTPUT_TABLE:
        table.name = all->job->table;
        if (catalog_table_columns(db, "raw", table.name, all->arena, &columns, &table.column_count,
                                  err) != RC_OK) {
            return err_wrap(err, "table '%s'", table.name);
        }
        table.columns = columns;
        break;

    case OUTPUT_IMAGE:
    case OUTPUT_SHEET:
    case OUTPUT_PACKED:
    case OUTPUT_COUNT:
        return err_set(err, RC_NOT_FOUND, "pictures are in no table");
    }
    scoped(free) char *folder =
        kind == OUTPUT_TABLE ? str_printf("tables/%s", table.name) : str_dup(table.name);
    scoped(free) char *location = uri_format(all->services->processed->uri, folder);

    table.location = arena_dup(all->arena, location);
    table.quoted = is_quoted(all->manifest, kind, &table);
    *ret_table = table;
    return RC_OK;
}

/** "img_type=vil/year=2019/month=01" of "frames/img_type=vil/year=2019/month=01/x.csv". */
static enum rc put_partition(struct db *db, const struct registration *all,
                             const struct catalog_table *table, const char *key, int64_t source,
                             struct err *err)
{
    scoped(free) char *values = NULL;
    scoped(free) char *folder = NULL;
    scoped(free) char *location = NULL;
    const char *begin = strchr(key, '/');
    const char *end = strrchr(key, '/');

    if (table->partition_key_count == 0 || begin == NULL || begin == end) {
        return catalog_table_feed(db, table->database, table->name, source, err);
    }
    values = str_dup_n(begin + 1, (size_t)(end - begin - 1));
    folder = str_dup_n(key, (size_t)(end - key));
    location = uri_format(all->services->processed->uri, folder);
    return catalog_partition_put(db, table->database, table->name, values, location, source, err);
}

static enum rc register_output(struct db *db, const struct registration *all,
                               const struct job_output *output, int64_t source,
                               enum job_output_kind *described, struct catalog_table *table,
                               struct err *err)
{
    char hex[DIGEST_HEX];
    int64_t version;

    digest_hex(output->sha256, hex);
    const struct catalog_output row = {
        .key = output->key,
        .bytes = output->bytes,
        .sha256 = hex,
        .kind = job_output_kind_name(output->kind),
    };
    if (catalog_output_add(db, source, all->job->id, &row, err) != RC_OK) {
        return err->rc;
    }
    if (output->kind == OUTPUT_IMAGE || output->kind == OUTPUT_SHEET ||
        output->kind == OUTPUT_PACKED) {
        return RC_OK;
    }
    if (*described != output->kind) {
        if (describe(db, all, output->kind, table, err) != RC_OK ||
            catalog_table_put(db, table, &version, err) != RC_OK) {
            return err->rc;
        }
        *described = output->kind;
    }
    return put_partition(db, all, table, output->key, source, err);
}

/** On the catalog's writer. */
static enum rc register_all(struct db *db, void *arg, struct err *err)
{
    struct registration *all = arg;
    const struct job_object *object = &all->job->object;
    enum job_output_kind described = OUTPUT_COUNT;
    struct catalog_table table;
    int64_t source;

    if (catalog_source(db, object->bucket, object->key, &source, err) != RC_OK ||
        catalog_outputs_clear(db, source, err) != RC_OK ||
        catalog_source_forget(db, DATABASE, source, err) != RC_OK) {
        return err->rc;
    }
    for (size_t i = 0; i < all->manifest->output_count; i++) {
        if (register_output(db, all, &all->manifest->outputs[i], source, &described, &table, err) !=
            RC_OK) {
            return err->rc;
        }
    }
    *all->ret_source = source;
    return RC_OK;
}

static void on_registered(const struct err *err, void *arg)
{
    struct registration *all = arg;

    all->done(err, all->arg);
    arena_free(all->arena);
    free(all);
}

void registration_start(struct services *services, const struct job *job,
                        const struct job_manifest *manifest, int64_t *ret_source,
                        store_done_fn *done, void *arg)
{
    struct registration *all = mem_new(struct registration);

    *all = (struct registration){
        .services = services,
        .job = job,
        .manifest = manifest,
        .ret_source = ret_source,
        .done = done,
        .arg = arg,
        .arena = arena_new(),
    };
    catalog_write(services->catalog, register_all, on_registered, all);
}

void catalog_tell(struct services *services, store_done_fn *done, void *arg)
{
    struct job_remote *remote = services->remote;

    if (remote == NULL || !remote->registers) {
        done(NULL, arg);
        return;
    }
    remote->tell(remote, done, arg);
}
