/** @file
 * /v1/data: the charts' queries, by name, with a filter. All that are shown together are answered
 * in one transaction, so that they agree.
 */
#include <inttypes.h>
#include <stdio.h>

#include "daemon/catalog/catalog_charts.h"
#include "daemon/catalog/catalog_query.h"
#include "daemon/ops/data_args.h"
#include "daemon/ops/kept.h"
#include "daemon/ops/ops_p.h"
#include "lib/base/mem.h"
#include "lib/base/now.h"

#define MOST_BYTES (32u << 20)

struct drawing {
    struct ops_call *call;
    const struct catalog_chart *chart; /**< NULL: all of the overview. */
    struct catalog_chart_args args;    /**< Strings are the request's. */
    enum catalog_format format;
    struct strbuf out; /**< The lane's until it is done. */
    bool truncated;
    char *key; /**< Of an overview that others may share, at `version` of the catalog. */
    uint64_t version;
};

/* ---- the answer ---- */

static enum rc run_chart(struct db *db, const struct catalog_chart *chart, struct drawing *drawing,
                         struct strbuf *sql, struct err *err)
{
    struct catalog_query_result result;

    if (catalog_chart_sql(chart, &drawing->args, sql, err) != RC_OK) {
        return err->rc;
    }
    if (drawing->format == CATALOG_JSON) {
        strbuf_puts(&drawing->out, "{\"title\":");
        strbuf_json(&drawing->out, chart->title);
        strbuf_puts(&drawing->out, ",\"sql\":");
        strbuf_json(&drawing->out, strbuf_text(sql));
        strbuf_puts(&drawing->out, ",\"data\":");
    }
    const struct catalog_query query = {.sql = strbuf_text(sql),
                                        .format = drawing->format,
                                        .max_rows = DATA_MOST_ROWS,
                                        .max_bytes = MOST_BYTES};

    if (catalog_query_run(db, &query, &drawing->out, &result, err) != RC_OK) {
        return err_wrap(err, "chart '%s'", chart->name);
    }
    drawing->truncated = result.truncated;
    strbuf_puts(&drawing->out, drawing->format == CATALOG_JSON ? "}" : "");
    return RC_OK;
}

static enum rc draw_one(struct db *db, void *arg, struct err *err)
{
    struct drawing *drawing = arg;
    scoped(strbuf_done) struct strbuf sql = {0};

    return run_chart(db, drawing->chart, drawing, &sql, err);
}

static enum rc draw_each(struct db *db, struct drawing *drawing, struct err *err)
{
    bool any = false;

    for (unsigned i = 0; i < catalog_chart_count; i++) {
        scoped(strbuf_done) struct strbuf sql = {0};

        if ((catalog_charts[i].flags & CHART_OVERVIEW) == 0) {
            continue;
        }
        strbuf_printf(&drawing->out, "%s\n\"%s\":", any ? "," : "", catalog_charts[i].name);
        any = true;
        if (run_chart(db, &catalog_charts[i], drawing, &sql, err) != RC_OK) {
            return err->rc;
        }
    }
    return RC_OK;
}

static enum rc draw_overview(struct db *db, void *arg, struct err *err)
{
    struct drawing *drawing = arg;
    const int64_t began_us = now_mono_us();
    struct err ignored;

    if (db_exec(db, "BEGIN", err) != RC_OK) {
        return err->rc;
    }
    strbuf_puts(&drawing->out, "{\"charts\":{");
    const enum rc rc = draw_each(db, drawing, err);

    (void)db_exec(db, "COMMIT", &ignored); /* it has only read */
    strbuf_printf(&drawing->out, "\n},\"took_ms\":%.1f}\n",
                  (double)(now_mono_us() - began_us) / 1000);
    return rc;
}

static void on_drawn(const struct err *err, void *arg)
{
    struct drawing *drawing = arg;
    struct ops_call *call = drawing->call;
    const bool csv = drawing->format == CATALOG_CSV;
    char name[64];

    if (drawing->key != NULL && call->ops->kept != NULL) {
        kept_done(call->ops->kept, drawing->key, drawing->version, &drawing->out, err);
    }
    if (err != NULL) {
        ops_problem_err(call, err);
    } else {
        if (csv) {
            snprintf(name, sizeof(name), "attachment; filename=\"%s.csv\"", drawing->chart->name);
            http_responder_header(call->responder, "Content-Disposition", name);
            http_responder_header(call->responder, "X-Truncated",
                                  drawing->truncated ? "true" : "false");
        }
        ops_answer(call, 200, csv ? "text/csv; charset=utf-8" : "application/json", &drawing->out);
    }
    strbuf_done(&drawing->out);
    free(drawing->key);
    free(drawing);
}

/** What the overview is asked with, as text in which no two questions look the same. */
static char *key_of(const struct http_request *request)
{
    struct strbuf key = {0};

    for (unsigned i = 0; i < request->arg_count; i++) {
        strbuf_json(&key, request->args[i].name);
        strbuf_json(&key, request->args[i].value);
    }
    return strbuf_take(&key);
}

/** Whether the answer is there, or comes without our doing. */
static bool is_shared(struct drawing *drawing)
{
    struct ops_call *call = drawing->call;

    if (drawing->chart != NULL) {
        return false;
    }
    drawing->key = key_of(call->request);
    drawing->version = catalog_writes(call->ops->services->catalog);
    return kept_take(call->ops->kept, call, drawing->key, drawing->version);
}

static void draw(struct ops_call *call, const struct catalog_chart *chart,
                 enum catalog_format format)
{
    const struct http_request *request = call->request;
    struct catalog_chart_args args;
    struct drawing *drawing;
    struct err err;

    if (data_args_read(request->args, request->arg_count, &args, &err) != RC_OK) {
        ops_problem(call, 400, "%s", err.text);
        return;
    }
    drawing = mem_new(struct drawing);
    *drawing = (struct drawing){.call = call, .chart = chart, .args = args, .format = format};
    if (is_shared(drawing)) {
        free(drawing->key);
        free(drawing);
        return;
    }
    catalog_read(call->ops->services->catalog, chart != NULL ? draw_one : draw_overview, on_drawn,
                 drawing);
}

void ops_get_data(struct ops_call *call)
{
    draw(call, NULL, CATALOG_JSON);
}

void ops_get_chart(struct ops_call *call)
{
    const struct catalog_chart *chart = catalog_chart_find(call->name);
    const char *format = http_request_arg(call->request, "format");
    const bool csv = format != NULL && strcmp(format, "csv") == 0;

    if (chart == NULL) {
        ops_problem(call, 404, "there is no chart '%.60s'; /v1/data has them", call->name);
    } else if (format != NULL && !csv && strcmp(format, "json") != 0) {
        ops_problem(call, 400, "'format' must be 'json' or 'csv'");
    } else {
        draw(call, chart, csv ? CATALOG_CSV : CATALOG_JSON);
    }
}
