/** @file
 * The data catalog and queries: read on the catalog's lane.
 */
#include "daemon/catalog/catalog_query.h"
#include "daemon/catalog/catalog_show.h"
#include "daemon/ops/ops_p.h"
#include "lib/base/mem.h"

/** Somebody else's queries may fill all readers but one: lists and metrics need one too. */
static unsigned most_queries(const struct ops *ops)
{
    const unsigned width = work_width(ops->services->work, WORK_READ);

    return width > 1 ? width - 1 : 1;
}

struct reading {
    struct ops_call *call;
    json_t *body; /**< Of a query; else NULL. */
    struct catalog_query query;
    struct catalog_query_result result;
    struct strbuf out; /**< The lane's until it is done. */
};

static void on_read(const struct err *err, void *arg)
{
    struct reading *reading = arg;
    struct ops_call *call = reading->call;
    const bool csv = reading->query.format == CATALOG_CSV;

    if (reading->body != NULL) {
        call->ops->queries--;
        json_decref(reading->body);
    }
    if (err != NULL) {
        ops_problem_err(call, err);
    } else {
        if (csv) {
            http_responder_header(call->responder, "X-Truncated",
                                  reading->result.truncated ? "true" : "false");
        }
        ops_answer(call, 200, csv ? "text/csv; charset=utf-8" : "application/json", &reading->out);
    }
    strbuf_done(&reading->out);
    free(reading);
}

static void read_with(struct ops_call *call, db_lane_fn *fn)
{
    struct reading *reading = mem_new(struct reading);

    reading->call = call;
    catalog_read(call->ops->services->catalog, fn, on_read, reading);
}

static enum rc read_tables(struct db *db, void *arg, struct err *err)
{
    struct reading *reading = arg;

    return catalog_tables_json(db, &reading->out, err);
}

void ops_get_tables(struct ops_call *call)
{
    read_with(call, read_tables);
}

static enum rc read_table(struct db *db, void *arg, struct err *err)
{
    struct reading *reading = arg;

    return catalog_table_json(db, reading->call->name, &reading->out, err);
}

void ops_get_table(struct ops_call *call)
{
    read_with(call, read_table);
}

static enum rc read_query(struct db *db, void *arg, struct err *err)
{
    struct reading *reading = arg;

    return catalog_query_run(db, &reading->query, &reading->out, &reading->result, err);
}

static void ask_local(struct ops_call *call, json_t *body, const char *sql,
                      enum catalog_format format)
{
    struct reading *reading;

    if (call->ops->queries >= most_queries(call->ops)) {
        http_responder_header(call->responder, "Retry-After", "1");
        ops_problem(call, 503, "%u queries run already; try again", call->ops->queries);
        return;
    }
    reading = mem_new(struct reading);
    *reading = (struct reading){
        .call = call, .body = json_incref(body), .query = {.sql = sql, .format = format}};
    call->ops->queries++;
    catalog_read(call->ops->services->catalog, read_query, on_read, reading);
}

/** A member that is one of two words, the first when it is not there. NULL: it is neither. */
static const char *word_of(const json_t *body, const char *key, const char *first,
                           const char *second)
{
    const json_t *value = json_object_get(body, key);
    const char *text = value == NULL ? first : json_string_value(value);

    return text != NULL && (strcmp(text, first) == 0 || strcmp(text, second) == 0) ? text : NULL;
}

void ops_post_query(struct ops_call *call)
{
    json_t *body = ops_body(call);
    const char *sql = json_string_value(json_object_get(body, "sql"));
    const char *format = word_of(body, "format", "json", "csv");
    const char *engine = word_of(body, "engine", "local", "athena");

    if (body == NULL) {
        return;
    }
    if (sql == NULL) {
        ops_problem(call, 400, "'sql' must be a string");
    } else if (format == NULL) {
        ops_problem(call, 400, "'format' must be 'json' or 'csv'");
    } else if (engine == NULL) {
        ops_problem(call, 400, "'engine' must be 'local' or 'athena'");
    } else {
        const enum catalog_format as = strcmp(format, "csv") == 0 ? CATALOG_CSV : CATALOG_JSON;

        if (strcmp(engine, "athena") == 0) {
            ops_ask_athena(call, sql, as);
        } else {
            ask_local(call, body, sql, as);
        }
    }
    json_decref(body);
}
