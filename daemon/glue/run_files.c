/** @file
 * Plans and results of runs of the job, as JSON.
 */
#include "daemon/glue/run_files.h"

#include <string.h>

#include "daemon/catalog/catalog_types.h"
#include "lib/base/mem.h"
#include "lib/data/json_read.h"

#define NAME_MAX_BYTES 512

/* ---- the plan ---- */

static void add(struct strbuf *out, const char *name, const char *text)
{
    strbuf_printf(out, "\"%s\":", name);
    strbuf_json(out, text);
}

void run_plan_begin(struct strbuf *out, const char *token, const char *result_uri)
{
    strbuf_putc(out, '{');
    add(out, "token", token);
    strbuf_putc(out, ',');
    add(out, "result", result_uri);
    strbuf_puts(out, ",\"objects\":[");
}

void run_plan_add(struct strbuf *out, const struct run_plan_object *object, bool first)
{
    strbuf_puts(out, first ? "\n{" : ",\n{");
    add(out, "bucket", object->bucket);
    strbuf_putc(out, ',');
    add(out, "key", object->key);
    strbuf_putc(out, ',');
    add(out, "version", object->version);
    strbuf_putc(out, ',');
    add(out, "etag", object->etag);
    strbuf_putc(out, ',');
    add(out, "output", object->output);
    strbuf_putc(out, '}');
}

void run_plan_end(struct strbuf *out)
{
    strbuf_puts(out, "\n]}\n");
}

/* ---- the result ---- */

/** Of one object: what was made, or why not. */
struct result_item {
    const char *key, *etag;
    struct job_remote_made made;
    struct err err;
};

struct run_result {
    struct arena *arena;
    struct result_item *items; /**< By key, for the search. */
    size_t count;
};

/** A column's name as the job cleans them: what may stand in SQL and in the catalog unquoted. */
static bool is_name(const char *name)
{
    const size_t len = name != NULL ? strlen(name) : 0;

    if (len == 0 || len > NAME_MAX_BYTES) {
        return false;
    }
    return strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == len;
}

static bool read_columns(struct arena *arena, const json_t *list, struct job_remote_made *made)
{
    const size_t count = json_array_size(list);
    struct catalog_column *columns;
    const json_t *found;
    size_t i;

    if (!json_is_array(list) || count == 0 || count > RUN_COLUMNS_MAX) {
        return false;
    }
    columns = arena_alloc(arena, count * sizeof(*columns));
    json_array_foreach((json_t *)list, i, found)
    {
        const char *name = json_read_text(found, "name");
        const char *type = json_read_text(found, "type");

        if (!is_name(name) || type == NULL ||
            strcmp(catalog_type_name(catalog_type_parse(type)), type) != 0) {
            return false;
        }
        columns[i] = (struct catalog_column){arena_dup(arena, name), arena_dup(arena, type), NULL};
    }
    made->columns = columns;
    made->column_count = (unsigned)count;
    return true;
}

/** The classes that the job gives. Anything else is our own lack of knowledge: tried again. */
static enum rc class_of(const char *name)
{
    static const enum rc known[] = {RC_INVALID, RC_CORRUPT, RC_UNSUPPORTED, RC_CHANGED, RC_DENIED};

    for (unsigned i = 0; name != NULL && i < ARRAY_LEN(known); i++) {
        if (strcmp(name, rc_name(known[i])) == 0) {
            return known[i];
        }
    }
    return RC_NETWORK;
}

static void read_failure(const json_t *error, struct result_item *item)
{
    scoped(strbuf_done) struct strbuf text = {0};
    const char *told = json_read_text(error, "text");

    strbuf_printable(&text, told != NULL && told[0] != '\0' ? told : "it failed");
    err_set(&item->err, class_of(json_read_text(error, "class")), "%.300s", strbuf_text(&text));
}

static bool read_item(struct arena *arena, const json_t *found, struct result_item *item)
{
    const char *key = json_read_text(found, "key");
    const char *etag = json_read_text(found, "etag");
    const json_t *error = json_object_get(found, "error");
    int quoted;

    if (key == NULL || etag == NULL) {
        return false;
    }
    *item = (struct result_item){.key = arena_dup(arena, key), .etag = arena_dup(arena, etag)};
    if (error != NULL) {
        read_failure(error, item);
        return json_is_object(error);
    }
    if (!json_read_u64(found, "rows", &item->made.rows) ||
        !json_read_u64(found, "bytes", &item->made.bytes) ||
        !json_read_sha256(found, "sha256", item->made.sha256) ||
        !json_read_flag(found, "quoted", &quoted)) {
        return false;
    }
    item->made.quotes = csv_quotes_from_flag(quoted); /* older scripts say nothing of it */
    return read_columns(arena, json_object_get(found, "columns"), &item->made);
}

static int by_key(const void *a, const void *b)
{
    return strcmp(((const struct result_item *)a)->key, ((const struct result_item *)b)->key);
}

static enum rc read_items(const json_t *list, struct run_result *result, struct err *err)
{
    const json_t *found;
    size_t i;

    if (!json_is_array(list)) {
        return err_set(err, RC_CORRUPT, "it lists no objects");
    }
    result->items = mem_resize(NULL, json_array_size(list) + 1, sizeof(*result->items));
    json_array_foreach((json_t *)list, i, found)
    {
        if (!read_item(result->arena, found, &result->items[i])) {
            return err_set(err, RC_CORRUPT, "its object %zu is not as it should be", i + 1);
        }
        result->count++;
    }
    qsort(result->items, result->count, sizeof(*result->items), by_key);
    return RC_OK;
}

enum rc run_result_parse(const void *bytes, size_t len, const char *token,
                         struct run_result **ret_result, struct err *err)
{
    scoped(run_result_free) struct run_result *result = mem_new(struct run_result);
    json_t *root =
        len <= RUN_RESULT_MAX ? json_loadb(bytes, len, JSON_REJECT_DUPLICATES, NULL) : NULL;
    const char *of = json_read_text(root, "token");
    enum rc rc;

    result->arena = arena_new();
    if (!json_is_object(root)) {
        rc = err_set(err, RC_CORRUPT, "it is no JSON object");
    } else if (of == NULL || strcmp(of, token) != 0) {
        rc = err_set(err, RC_CORRUPT, "it is of another run");
    } else {
        rc = read_items(json_object_get(root, "objects"), result, err);
    }
    json_decref(root);
    if (rc == RC_OK) {
        *ret_result = TAKE(result);
    }
    return rc;
}

void run_result_free(struct run_result *result)
{
    if (result == NULL) {
        return;
    }
    arena_free(result->arena);
    free(result->items);
    free(result);
}

enum rc run_result_find(const struct run_result *result, const char *key, const char *etag,
                        const struct job_remote_made **ret_made, struct err *err)
{
    const struct result_item wanted = {.key = key};
    const struct result_item *item = NULL;

    if (result->count > 0) {
        item = bsearch(&wanted, result->items, result->count, sizeof(wanted), by_key);
    }
    if (item == NULL || strcmp(item->etag, etag) != 0) {
        return err_set(err, RC_NETWORK, "its result says nothing of it");
    }
    if (item->err.rc != RC_OK) {
        *err = item->err;
        return err->rc;
    }
    *ret_made = &item->made;
    return RC_OK;
}
