/** @file
 * /v1/data: the charts' queries, by name, with a filter. All that are shown together are answered
 * in one transaction, so that they agree.
 */
#include <inttypes.h>
#include <stdio.h>

#include "daemon/catalog/catalog_charts.h"
#include "daemon/catalog/catalog_query.h"
#include "daemon/ops/kept.h"
#include "daemon/ops/ops_p.h"
#include "lib/base/mem.h"
#include "lib/base/now.h"

#define MOST_ROWS 100000
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

/* ---- what is asked for ---- */

static bool take_type(struct ops_call *call, const char *list, struct catalog_filter *filter)
{
    while (*list != '\0') {
        const size_t len = strcspn(list, ",");
        scoped(free) char *name = str_dup_n(list, len);
        enum sevir_type type;

        if (!sevir_type_parse(name, &type)) {
            ops_problem(call, 400, "'type': '%.40s' is none of vis, ir069, ir107, vil, lght", name);
            return false;
        }
        filter->types |= 1u << type;
        list += len + (list[len] == ',');
    }
    return true;
}

static bool take_box(struct ops_call *call, const char *text, struct catalog_filter *filter)
{
    double *const numbers[] = {&filter->lat0, &filter->lon0, &filter->lat1, &filter->lon1};
    const char *at = text;
    bool good = true;

    for (unsigned i = 0; i < ARRAY_LEN(numbers) && good; i++) {
        const size_t len = strcspn(at, ",");
        scoped(free) char *number = str_dup_n(at, len);

        good = str_to_double(number, numbers[i]) && (at[len] == ',') == (i < 3) &&
               *numbers[i] >= -360 && *numbers[i] <= 360;
        at += len + (at[len] == ',');
    }
    if (!good || filter->lat0 > filter->lat1 || filter->lon0 > filter->lon1) {
        ops_problem(call, 400, "'bbox': '%.80s' is not LAT0,LON0,LAT1,LON1, south and west first",
                    text);
        return false;
    }
    filter->has_box = true;
    return true;
}

static bool take_time(struct ops_call *call, const char *text, bool end, char ret_time[24])
{
    struct err err;

    if (text[0] != '\0' && catalog_filter_time(text, end, ret_time, &err) != RC_OK) {
        ops_problem(call, 400, "'%s': %s", end ? "to" : "from", err.text);
        return false;
    }
    return true;
}

/** One argument of the query that is part of the filter. False: answered 400. */
static bool take_filter(struct ops_call *call, const struct http_pair *arg,
                        struct catalog_filter *filter)
{
    if (strcmp(arg->name, "type") == 0) {
        return take_type(call, arg->value, filter);
    }
    if (strcmp(arg->name, "event_type") == 0) {
        if (filter->event_type_count == CATALOG_FILTER_EVENT_TYPES) {
            ops_problem(call, 400, "'event_type': at most %d of them", CATALOG_FILTER_EVENT_TYPES);
            return false;
        }
        filter->event_types[filter->event_type_count++] = arg->value;
        return true;
    }
    if (strcmp(arg->name, "bbox") == 0) {
        return take_box(call, arg->value, filter);
    }
    if (strcmp(arg->name, "from") == 0) {
        return take_time(call, arg->value, false, filter->from);
    }
    if (strcmp(arg->name, "to") == 0) {
        return take_time(call, arg->value, true, filter->to);
    }
    if (strcmp(arg->name, "q") == 0 && arg->value[0] != '\0') {
        filter->id_prefix = arg->value;
    }
    return true;
}

static bool take_args(struct ops_call *call, struct catalog_chart_args *args)
{
    const struct http_request *request = call->request;
    const char *type = http_request_arg(request, "img_type");
    uint64_t level;

    for (unsigned i = 0; i < request->arg_count; i++) {
        if (!take_filter(call, &request->args[i], &args->filter)) {
            return false;
        }
    }
    args->id = http_request_arg(request, "id");
    args->stat = http_request_arg(request, "stat");
    args->type = SEVIR_VIL;
    if (type != NULL && !sevir_type_parse(type, &args->type)) {
        ops_problem(call, 400, "'img_type': '%.40s' is none of vis, ir069, ir107, vil, lght", type);
        return false;
    }
    if (!ops_arg_number(call, "level", 1, 255, 133, &level) ||
        !ops_arg_number(call, "limit", 1, MOST_ROWS, 0, &args->limit) ||
        !ops_arg_number(call, "offset", 0, INT32_MAX, 0, &args->offset)) {
        return false;
    }
    args->level = (unsigned)level;
    return true;
}

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
                                        .max_rows = MOST_ROWS,
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
    struct drawing *drawing = mem_new(struct drawing);

    *drawing = (struct drawing){.call = call, .chart = chart, .format = format};
    if (!take_args(call, &drawing->args) || is_shared(drawing)) {
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
