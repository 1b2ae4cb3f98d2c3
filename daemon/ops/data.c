/** @file
 * /v1/data: the charts' queries, by name, with a filter. All that are shown together are drawn from
 * one copy of the sums, kept in memory until the catalog is written to again, so that they agree
 * and a filter is cheap; one alone is its statement, run.
 */
#include <inttypes.h>
#include <stdio.h>

#include "daemon/catalog/catalog_overview.h"
#include "daemon/catalog/catalog_query.h"
#include "daemon/ops/data_args.h"
#include "daemon/ops/kept.h"
#include "daemon/ops/ops_p.h"
#include "lib/base/mem.h"
#include "lib/base/now.h"

#define MOST_BYTES (32u << 20)

/** Of the catalog at `version`. The loop's, but for what it holds, which is constant. */
struct ops_copy {
    struct catalog_overview *overview;
    uint64_t version;
    unsigned refs;
};

struct drawing {
    struct ops_call *call;
    struct ops_copy *copy;             /**< Of an overview: what it is drawn from, */
    struct catalog_overview *overview; /**< or what was made for want of one: the lane's. */
    const struct catalog_chart *chart; /**< NULL: all of the overview. */
    struct catalog_chart_args args;    /**< Strings are the request's. */
    enum catalog_format format;
    struct strbuf out; /**< The lane's until it is done. */
    bool truncated;
    char *key; /**< Of an overview that others may share, at `version` of the catalog. */
    uint64_t version;
};

/* ---- the answer ---- */

static void ref_copy(struct ops_copy *copy)
{
    copy->refs++;
}

void ops_copy_unref(struct ops_copy *copy)
{
    if (copy != NULL && --copy->refs == 0) {
        catalog_overview_free(copy->overview);
        free(copy);
    }
}

/** What was made serves the next, unless it is already of yesterday. */
static void keep_copy(struct ops *ops, struct catalog_overview *overview, uint64_t version)
{
    if (ops->copy != NULL && ops->copy->version > version) {
        catalog_overview_free(overview);
        return;
    }
    ops_copy_unref(ops->copy);
    ops->copy = mem_new(struct ops_copy);
    *ops->copy = (struct ops_copy){.overview = overview, .version = version, .refs = 1};
}

static void begin_chart(struct drawing *drawing, const struct catalog_chart *chart,
                        const struct strbuf *sql)
{
    strbuf_puts(&drawing->out, "{\"title\":");
    strbuf_json(&drawing->out, chart->title);
    strbuf_puts(&drawing->out, ",\"sql\":");
    strbuf_json(&drawing->out, strbuf_text(sql));
    strbuf_puts(&drawing->out, ",\"data\":");
}

static enum rc run_chart(struct db *db, const struct catalog_chart *chart, struct drawing *drawing,
                         struct strbuf *sql, struct err *err)
{
    struct catalog_query_result result;

    if (catalog_chart_sql(chart, &drawing->args, sql, err) != RC_OK) {
        return err->rc;
    }
    if (drawing->format == CATALOG_JSON) {
        begin_chart(drawing, chart, sql);
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

/** From the copy: the rows that the statement would give. */
static enum rc copy_chart(const struct catalog_overview *overview,
                          const struct catalog_picked *picked, const struct catalog_chart *chart,
                          struct drawing *drawing, struct err *err)
{
    scoped(strbuf_done) struct strbuf sql = {0};

    if (catalog_chart_sql(chart, &drawing->args, &sql, err) != RC_OK) {
        return err->rc;
    }
    begin_chart(drawing, chart, &sql);
    catalog_overview_draw(overview, picked, chart, &drawing->args, &drawing->out);
    strbuf_puts(&drawing->out, "}");
    return RC_OK;
}

/** `overview` NULL: there are too many events for a copy. */
static enum rc draw_each(struct db *db, const struct catalog_overview *overview,
                         struct drawing *drawing, struct err *err)
{
    scoped(catalog_picked_free) struct catalog_picked *picked =
        overview != NULL ? catalog_overview_pick(overview, &drawing->args.filter) : NULL;
    bool any = false;

    for (unsigned i = 0; i < catalog_chart_count; i++) {
        const struct catalog_chart *chart = &catalog_charts[i];
        scoped(strbuf_done) struct strbuf sql = {0};

        if ((chart->flags & CHART_OVERVIEW) == 0) {
            continue;
        }
        strbuf_printf(&drawing->out, "%s\n\"%s\":", any ? "," : "", chart->name);
        any = true;
        if (picked != NULL ? copy_chart(overview, picked, chart, drawing, err) != RC_OK
                           : run_chart(db, chart, drawing, &sql, err) != RC_OK) {
            return err->rc;
        }
    }
    return RC_OK;
}

static enum rc draw_from(struct db *db, struct drawing *drawing, struct err *err)
{
    const struct catalog_overview *overview = NULL;

    if (drawing->copy != NULL) {
        overview = drawing->copy->overview;
    } else if (catalog_overview_load(db, &drawing->overview, err) == RC_OK) {
        overview = drawing->overview;
    } else if (err->rc != RC_LIMIT) {
        return err->rc;
    }
    return draw_each(db, overview, drawing, err);
}

static enum rc draw_overview(struct db *db, void *arg, struct err *err)
{
    struct drawing *drawing = arg;
    const int64_t began_us = now_mono_us();

    strbuf_puts(&drawing->out, "{\"charts\":{");
    const enum rc rc = draw_from(db, drawing, err);

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

    if (drawing->overview != NULL) {
        keep_copy(call->ops, drawing->overview, drawing->version);
    }
    ops_copy_unref(drawing->copy);
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
    if (chart == NULL && call->ops->copy != NULL && call->ops->copy->version == drawing->version) {
        drawing->copy = call->ops->copy;
        ref_copy(drawing->copy);
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
