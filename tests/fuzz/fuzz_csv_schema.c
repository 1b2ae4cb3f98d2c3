/** @file
 * What the crawl learns of a CSV file holds for every one of its fields when extraction cleans it:
 * a field is no value, or it is of its column's type; and cleaning twice is cleaning once.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/catalog/catalog_types.h"
#include "daemon/crawl/csv_schema.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct second_pass {
    const struct catalog_csv_schema *schema;
    uint64_t rows;
};

static void must(bool holds)
{
    if (!holds) {
        abort();
    }
}

static enum rc learn(const struct csv_row *row, void *arg, struct err *err)
{
    return csv_schema_row(arg, row, err);
}

static void check_field(enum catalog_type type, const char *text, size_t len)
{
    scoped(strbuf_done) struct strbuf once = {0}, twice = {0};

    if (catalog_type_is_null(type, text, len)) {
        return;
    }
    must(catalog_type_clean(type, text, len, &once));
    if (!catalog_type_is_null(type, strbuf_text(&once), once.len)) {
        must(catalog_type_clean(type, strbuf_text(&once), once.len, &twice));
        must(once.len == twice.len &&
             memcmp(strbuf_text(&once), strbuf_text(&twice), once.len) == 0);
    }
}

static enum rc clean(const struct csv_row *row, void *arg, struct err *err)
{
    struct second_pass *pass = arg;

    (void)err;
    must(row->count == pass->schema->column_count);
    if (pass->rows++ == 0 && pass->schema->header) {
        return RC_OK;
    }
    for (unsigned i = 0; i < row->count; i++) {
        check_field(catalog_type_parse(pass->schema->columns[i].type), row->fields[i],
                    row->lens[i]);
    }
    return RC_OK;
}

static void check_names(const struct catalog_csv_schema *schema)
{
    for (unsigned i = 0; i < schema->column_count; i++) {
        const char *name = schema->columns[i].name;

        must(name[0] != '\0' && strlen(name) <= CSV_SCHEMA_NAME_MAX);
        must(strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(name));
        for (unsigned k = 0; k < i; k++) {
            must(strcmp(name, schema->columns[k].name) != 0);
        }
    }
}

static enum rc read_all(csv_row_fn *fn, void *arg, const uint8_t *data, size_t size)
{
    scoped(csv_reader_free) struct csv_reader *reader = csv_reader_new("fuzz", fn, arg);
    struct err err = {0};

    return csv_reader_feed(reader, data, size, &err) == RC_OK ? csv_reader_end(reader, &err)
                                                              : err.rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    scoped(csv_schema_free) struct csv_schema *learning = csv_schema_new();
    scoped(arena_free) struct arena *arena = arena_new();
    struct catalog_csv_schema schema = {0};
    struct second_pass pass = {.schema = &schema};

    if (read_all(learn, learning, data, size) != RC_OK || csv_schema_rows(learning) == 0) {
        return 0;
    }
    csv_schema_end(learning, arena, &schema);
    check_names(&schema);
    must(read_all(clean, &pass, data, size) == RC_OK);
    must(pass.rows == schema.rows + (schema.header ? 1 : 0));
    return 0;
}
