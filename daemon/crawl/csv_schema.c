/** @file
 * One column of types that only widen, and a first row that waits for the verdict.
 */
#include "daemon/crawl/csv_schema.h"

#include <inttypes.h>

#include "daemon/catalog/catalog_types.h"
#include "lib/base/mem.h"

/** No name of a column is a story. */
#define HEADER_FIELD_MAX 255

struct column {
    char *first; /**< What the first row has. */
    enum catalog_type first_type;
    enum catalog_type type;  /**< Of the rows after the first. */
    bool first_exact, exact; /**< No integer that a double could not hold. */
};

struct csv_schema {
    struct column *columns;
    unsigned count;
    uint64_t rows; /**< The first one included. */
};

struct csv_schema *csv_schema_new(void)
{
    return mem_new(struct csv_schema);
}

void csv_schema_free(struct csv_schema *schema)
{
    if (schema == NULL) {
        return;
    }
    for (unsigned i = 0; i < schema->count; i++) {
        free(schema->columns[i].first);
    }
    free(schema->columns);
    free(schema);
}

static enum rc take_first_row(struct csv_schema *schema, const struct csv_row *row, struct err *err)
{
    if (row->count > CSV_SCHEMA_COLUMNS_MAX) {
        return err_set(err, RC_UNSUPPORTED,
                       "line %" PRIu64 " has %u columns, but a table at most %u", row->line,
                       row->count, CSV_SCHEMA_COLUMNS_MAX);
    }
    schema->columns = mem_zeroed(row->count * sizeof(*schema->columns) + 1);
    schema->count = row->count;
    for (unsigned i = 0; i < row->count; i++) {
        struct column *column = &schema->columns[i];

        column->exact = true;
        column->first = str_dup_n(row->fields[i], row->lens[i]);
        column->first_type = catalog_type_of(row->fields[i], row->lens[i], &column->first_exact);
    }
    return RC_OK;
}

enum rc csv_schema_row(struct csv_schema *schema, const struct csv_row *row, struct err *err)
{
    if (schema->rows == 0) {
        if (take_first_row(schema, row, err) != RC_OK) {
            return err->rc;
        }
        schema->rows = 1;
        return RC_OK;
    }
    if (row->count != schema->count) {
        return err_set(err, RC_INVALID, "line %" PRIu64 " has %u field%s, but the first row has %u",
                       row->line, row->count, row->count == 1 ? "" : "s", schema->count);
    }
    for (unsigned i = 0; i < row->count; i++) {
        struct column *column = &schema->columns[i];
        bool exact;

        /* Nothing is wider; most cells of a table of text need no look. */
        if (column->type != CATALOG_TYPE_STRING) {
            column->type = catalog_type_widen(
                column->type, catalog_type_of(row->fields[i], row->lens[i], &exact));
            column->exact = column->exact && exact;
        }
    }
    schema->rows++;
    return RC_OK;
}

uint64_t csv_schema_rows(const struct csv_schema *schema)
{
    return schema->rows;
}

static bool has_header(const struct csv_schema *schema)
{
    bool any_name = false;

    for (unsigned i = 0; i < schema->count; i++) {
        const struct column *column = &schema->columns[i];

        if (column->first_type != CATALOG_TYPE_NONE && column->first_type != CATALOG_TYPE_STRING) {
            return false;
        }
        if (strlen(column->first) > HEADER_FIELD_MAX) {
            return false;
        }
        any_name = any_name || column->first_type == CATALOG_TYPE_STRING;
    }
    return any_name;
}

char *csv_schema_name(const char *text, unsigned index)
{
    struct strbuf name = {0};

    for (const char *p = text; *p != '\0' && name.len < CSV_SCHEMA_NAME_MAX; p++) {
        const bool upper = *p >= 'A' && *p <= 'Z';

        if (upper || (*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9')) {
            if (name.len == 0 && *p >= '0' && *p <= '9') {
                strbuf_putc(&name, '_');
            }
            strbuf_putc(&name, upper ? (char)(*p - 'A' + 'a') : *p);
        } else if (name.len > 0 && name.data[name.len - 1] != '_') {
            strbuf_putc(&name, '_');
        }
    }
    while (name.len > 0 && name.data[name.len - 1] == '_') {
        name.data[--name.len] = '\0';
    }
    if (name.len == 0) {
        strbuf_printf(&name, "column_%u", index + 1);
    }
    return strbuf_take(&name);
}

static bool is_taken(const struct catalog_column *columns, unsigned count, const char *name)
{
    for (unsigned i = 0; i < count; i++) {
        if (strcmp(columns[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

/** Not yet among the names before it: "size", "size_2", … */
static const char *unique_name(struct arena *arena, const struct catalog_column *columns,
                               unsigned count, const char *text)
{
    scoped(free) char *name = csv_schema_name(text, count);
    const char *tried = arena_dup(arena, name);

    for (unsigned n = 2; is_taken(columns, count, tried); n++) {
        tried = arena_printf(arena, "%s_%u", name, n);
    }
    return tried;
}

static enum catalog_type final_type(const struct column *column, bool header)
{
    enum catalog_type type =
        header ? column->type : catalog_type_widen(column->type, column->first_type);
    bool exact = column->exact && (header || column->first_exact);

    return type == CATALOG_TYPE_DOUBLE && !exact ? CATALOG_TYPE_STRING : type;
}

void csv_schema_end(struct csv_schema *schema, struct arena *arena,
                    struct catalog_csv_schema *ret_schema)
{
    struct catalog_column *columns = arena_alloc(arena, schema->count * sizeof(*columns) + 1);
    const bool header = has_header(schema);

    for (unsigned i = 0; i < schema->count; i++) {
        enum catalog_type type = final_type(&schema->columns[i], header);

        columns[i].name = unique_name(arena, columns, i, header ? schema->columns[i].first : "");
        columns[i].type = type == CATALOG_TYPE_NONE ? "" : catalog_type_name(type);
        columns[i].comment = header ? arena_dup(arena, schema->columns[i].first) : NULL;
    }
    ret_schema->header = header;
    ret_schema->rows = schema->rows - (header ? 1 : 0);
    ret_schema->column_count = schema->count;
    ret_schema->columns = columns;
}

void csv_schema_forget_types(struct arena *arena, struct catalog_csv_schema *schema)
{
    struct catalog_column *columns =
        arena_alloc(arena, schema->column_count * sizeof(*columns) + 1);

    for (unsigned i = 0; i < schema->column_count; i++) {
        columns[i] = schema->columns[i];
        columns[i].type = "";
    }
    schema->columns = columns;
    schema->rows = 0;
}
