/** @file
 * What a crawl found, into the data catalog: one transaction on the catalog's writer, which owns
 * the crawl meanwhile.
 *
 * An object feeds one table (a SEVIR file with several types one a type). What an earlier version
 * of it fed is forgotten first.
 */
#include <inttypes.h>

#include "daemon/catalog/catalog_events.h"
#include "daemon/catalog/catalog_types.h"
#include "daemon/crawl/crawl_p.h"
#include "lib/base/mem.h"
#include "lib/sevir/catalog_row.h"

#define DATABASE "raw"

/** The transaction's context: where the object lies, and what its key says. */
struct record {
    struct db *db;
    struct crawl *crawl;
    int64_t source;
    struct classify_partition partition;
    const char *location; /**< URI of the table's folder. */
    const char *partition_location;
    const char *values; /**< "year=2019"; "" without partitions. */
    struct err *err;
};

/* ---- types of datasets ----------------------------------------------------------------------- */

/** Glue's name for one element. */
static const char *element_type(const struct layout_dtype *dtype)
{
    switch (dtype->class_) {
    case LAYOUT_INTEGER:
        if (dtype->is_signed) {
            return dtype->size == 1   ? "tinyint"
                   : dtype->size == 2 ? "smallint"
                   : dtype->size <= 4 ? "int"
                                      : "bigint";
        }
        return dtype->size == 1   ? "smallint"
               : dtype->size == 2 ? "int"
               : dtype->size <= 4 ? "bigint"
                                  : "decimal(20,0)";
    case LAYOUT_FLOAT:
        return dtype->size <= 4 ? "float" : "double";
    case LAYOUT_STRING:
        return "string";
    case LAYOUT_OTHER:
        break;
    }
    return "binary";
}

/** A row is one step along axis 0; what is below it are arrays: "array<array<smallint>>". */
static const char *dataset_type(struct arena *arena, const struct layout_dataset *dataset)
{
    const char *type = element_type(&dataset->dtype);

    for (uint32_t axis = 1; axis < dataset->rank; axis++) {
        type = arena_printf(arena, "array<%s>", type);
    }
    return type;
}

/** "uint8 384 x 384 x 49": what the arrays hold. */
static const char *dataset_comment(struct arena *arena, const struct layout_dataset *dataset)
{
    const char *comment = arena_dup(arena, dataset->dtype.text);

    for (uint32_t axis = 1; axis < dataset->rank; axis++) {
        comment = arena_printf(arena, "%s%s%" PRIu64, comment, axis == 1 ? " " : " x ",
                               dataset->dims[axis]);
    }
    return comment;
}

/* ---- tables ---------------------------------------------------------------------------------- */

static enum rc put_table(struct record *record, const char *name, const char *format,
                         const struct catalog_column *columns, unsigned count)
{
    struct catalog_column keys[CLASSIFY_KEYS_MAX];
    struct catalog_table table = {
        .database = DATABASE,
        .name = name,
        .format = format,
        .location = record->location,
        .columns = columns,
        .column_count = count,
        .partition_keys = keys,
        .partition_key_count = record->partition.count,
    };
    int64_t version;

    for (unsigned i = 0; i < record->partition.count; i++) {
        const char *value = record->partition.values[i];
        const bool whole = catalog_type_of(value, strlen(value), NULL) == CATALOG_TYPE_BIGINT;

        keys[i] =
            (struct catalog_column){record->partition.names[i], whole ? "bigint" : "string", NULL};
    }
    if (catalog_table_put(record->db, &table, &version, record->err) != RC_OK) {
        return record->err->rc;
    }
    if (record->partition.count == 0) {
        return catalog_table_feed(record->db, DATABASE, name, record->source, record->err);
    }
    return catalog_partition_put(record->db, DATABASE, name, record->values,
                                 record->partition_location, record->source, record->err);
}

/** A raster type's rows: its pixels, and whatever the file has beside (the id). */
static enum rc put_raster_table(struct record *record, enum sevir_type type)
{
    const struct layout *layout = record->crawl->layout;
    struct arena *arena = record->crawl->arena;
    struct catalog_column *columns =
        arena_alloc(arena, (layout->dataset_count + 1) * sizeof(*columns));
    unsigned count = 0;

    for (uint32_t i = 0; i < layout->dataset_count; i++) {
        const struct layout_dataset *dataset = &layout->datasets[i];
        enum sevir_type other;
        const bool is_type = sevir_type_parse(dataset->name, &other);

        if ((is_type && other != type) || count == CSV_SCHEMA_COLUMNS_MAX) {
            continue;
        }
        columns[count++] = (struct catalog_column){dataset->name, dataset_type(arena, dataset),
                                                   dataset_comment(arena, dataset)};
    }
    return put_table(record, sevir_type_name(type), "hdf5", columns, count);
}

static enum rc put_lightning_table(struct record *record)
{
    static const struct catalog_column columns[] = {
        {"id", "string", "name of the dataset: one an event"},
        {"t", "double", "column 0: seconds from the event's time"},
        {"lat", "double", "column 1: degrees north"},
        {"lon", "double", "column 2: degrees east"},
        {"x", "double", "column 3: of the 48 x 48 grid"},
        {"y", "double", "column 4: of the 48 x 48 grid, from the south"},
    };

    return put_table(record, sevir_type_name(SEVIR_LGHT), "hdf5", columns, ARRAY_LEN(columns));
}

static bool is_listed(const struct catalog_column *columns, unsigned count, const char *name)
{
    for (unsigned i = 0; i < count; i++) {
        if (strcmp(columns[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

static enum rc put_plain_table(struct record *record)
{
    const struct layout *layout = record->crawl->layout;
    struct arena *arena = record->crawl->arena;
    const unsigned most = MIN_OF(layout->dataset_count, CSV_SCHEMA_COLUMNS_MAX);
    struct catalog_column *columns = arena_alloc(arena, most * sizeof(*columns) + 1);
    unsigned count = 0;

    for (uint32_t i = 0; i < most; i++) {
        const struct layout_dataset *dataset = &layout->datasets[i];
        scoped(free) char *name = csv_schema_name(dataset->name, i);

        if (is_listed(columns, count, name)) { /* "a/b" beside "a_b" */
            continue;
        }
        columns[count++] = (struct catalog_column){
            arena_dup(arena, name), dataset_type(arena, dataset), dataset_comment(arena, dataset)};
    }
    return put_table(record, record->crawl->table, "hdf5", columns, count);
}

/* ---- what there may be ------------------------------------------------------------------------
 */

static enum rc record_layout(struct record *record)
{
    scoped(strbuf_done) struct strbuf bytes = {0};

    layout_encode(record->crawl->layout, &bytes);
    return catalog_layout_put(record->db, record->source, record->crawl->job->object.etag,
                              bytes.data, bytes.len, record->err);
}

static enum rc record_hdf5(struct record *record)
{
    struct crawl *crawl = record->crawl;
    const unsigned types = classify_layout(crawl->layout);
    scoped(free) char *name = catalog_table_name(crawl->job->object.key, "_hdf5");

    crawl->kind = "hdf5";
    crawl->table = arena_dup(crawl->arena, name);
    if (record_layout(record) != RC_OK) {
        return record->err->rc;
    }
    if (types == 0) {
        return put_plain_table(record);
    }
    for (unsigned type = SEVIR_TYPE_COUNT; type-- > 0;) {
        if ((types >> type & 1) == 0) {
            continue;
        }
        crawl->table = sevir_type_name(type);
        if ((type == SEVIR_LGHT ? put_lightning_table(record) : put_raster_table(record, type)) !=
            RC_OK) {
            return record->err->rc;
        }
    }
    return RC_OK;
}

static enum rc record_csv(struct record *record)
{
    struct crawl *crawl = record->crawl;
    const struct catalog_csv_schema *schema = &crawl->schema;

    crawl->kind = "csv";
    crawl->table = schema->table;
    if (catalog_csv_schema_put(record->db, record->source, crawl->job->object.etag, schema,
                               record->err) != RC_OK) {
        return record->err->rc;
    }
    return put_table(record, schema->table, "csv", schema->columns, schema->column_count);
}

static enum rc record_catalog(struct record *record)
{
    static const char *const types[CATALOG_COLUMNS] = {
        "string", "string", "bigint", "string", "timestamp", "string", "bigint",
        "bigint", "string", "double", "double", "double",    "double", "string",
        "bigint", "bigint", "double", "double", "double",    "double", "double"};
    struct catalog_column columns[CATALOG_COLUMNS];
    struct crawl *crawl = record->crawl;

    crawl->kind = "catalog";
    crawl->table = "catalog";
    if ((crawl->load == 0 &&
         catalog_events_begin(record->db, record->source, &crawl->load, record->err) != RC_OK) ||
        catalog_events_settle(record->db, crawl->load, record->err) != RC_OK) {
        return record->err->rc;
    }
    crawl->catalog_changed = true;
    for (unsigned i = 0; i < CATALOG_COLUMNS; i++) {
        columns[i] = (struct catalog_column){catalog_columns[i], types[i], NULL};
    }
    return put_table(record, crawl->table, "csv", columns, CATALOG_COLUMNS);
}

static enum rc record_kind(struct record *record)
{
    struct crawl *crawl = record->crawl;

    if (crawl->is_catalog) {
        return record_catalog(record);
    }
    /* The key may have held a catalog before. */
    if (catalog_events_clear(record->db, record->source, &crawl->catalog_changed, record->err) !=
        RC_OK) {
        return record->err->rc;
    }
    switch (crawl->class_) {
    case CLASSIFY_HDF5:
        return record_hdf5(record);
    case CLASSIFY_CSV:
        return record_csv(record);
    case CLASSIFY_OTHER:
        break;
    }
    crawl->kind = "other";
    crawl->table = "";
    return RC_OK;
}

/** The URI of the first `len` bytes of the key. */
static char *folder_uri(const struct crawl *crawl, size_t len)
{
    scoped(free) char *folder = str_dup_n(crawl->job->object.key, len);

    return uri_format(crawl->services->raw->uri, len > 0 ? folder : NULL);
}

enum rc crawl_record(struct db *db, void *arg, struct err *err)
{
    struct crawl *crawl = arg;
    const struct job_object *object = &crawl->job->object;
    const bool sevir = crawl->class_ == CLASSIFY_HDF5 && classify_layout(crawl->layout) != 0;
    scoped(classify_partition_done) struct classify_partition partition;
    scoped(free) char *location = NULL;
    scoped(free) char *partition_location = NULL;
    scoped(free) char *values = NULL;
    struct record record;

    classify_partition(object->key, sevir, &partition);
    location = folder_uri(crawl, partition.folder_len);
    partition_location = folder_uri(crawl, partition.partition_len);
    values = classify_partition_values(&partition);
    record = (struct record){
        .db = db,
        .crawl = crawl,
        .partition = partition,
        .location = location,
        .partition_location = partition_location,
        .values = values,
        .err = err,
    };
    if (catalog_source(db, object->bucket, object->key, &record.source, err) != RC_OK ||
        catalog_source_forget(db, DATABASE, record.source, err) != RC_OK ||
        record_kind(&record) != RC_OK) {
        return err_wrap(err, "record '%s'", object->key);
    }
    return RC_OK;
}
