/** @file
 * POST /v1/query of the engine "athena": the same question to the tables in the Glue Data Catalog,
 * answered in the same shape. Types become those of the local engine, so that one statement prints
 * one table, whoever answered it.
 *
 * A client that goes away (Ctrl-C), athena.limit and the daemon's stop end the query at Athena, for
 * it costs money by what it has scanned.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <sys/random.h>

#include "daemon/catalog/catalog_query.h"
#include "daemon/catalog/sql_reads.h"
#include "daemon/metrics.h"
#include "daemon/ops/ops_p.h"
#include "lib/aws/athena.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/now.h"

#define MOST_ASKINGS 4
#define MEBIBYTE (UINT64_C(1) << 20)
#define TEBIBYTE (UINT64_C(1) << 40)
#define BILLED_MIN (10 * MEBIBYTE)

enum cell_kind { CELL_INT, CELL_REAL, CELL_TIME, CELL_BOOL, CELL_HEX, CELL_TEXT };

struct ops_asking {
    struct ops_asking *prev, *next;
    struct ops_call *call;
    struct athena_query *query;
    enum cell_kind *kinds;
    unsigned kind_count;
    struct catalog_result result;
    struct strbuf out;
    bool full; /**< No more rows are kept. */
    int64_t began_ms;
};

/* ---- types and values ---- */

/** Of Athena's types by their names without what is in brackets: "decimal(10,2)". */
static const struct {
    const char *name;
    enum cell_kind kind;
    const char *type; /**< As the local engine says. */
} types[] = {
    {"tinyint", CELL_INT, "bigint"},  {"smallint", CELL_INT, "bigint"},
    {"int", CELL_INT, "bigint"},      {"integer", CELL_INT, "bigint"},
    {"bigint", CELL_INT, "bigint"},   {"float", CELL_REAL, "double"},
    {"real", CELL_REAL, "double"},    {"double", CELL_REAL, "double"},
    {"decimal", CELL_REAL, "double"}, {"timestamp", CELL_TIME, "timestamp"},
    {"boolean", CELL_BOOL, "bigint"}, {"varbinary", CELL_HEX, "string"},
};

static enum cell_kind kind_of(const char *name, const char **ret_type)
{
    const size_t len = strcspn(name, "( ");

    for (unsigned i = 0; i < ARRAY_LEN(types); i++) {
        if (strlen(types[i].name) == len && strncmp(name, types[i].name, len) == 0) {
            *ret_type = types[i].type;
            return types[i].kind;
        }
    }
    *ret_type = "string";
    return CELL_TEXT;
}

/** "2019-05-12 18:30:00.000" says no more than "2019-05-12 18:30:00", which is how we write it. A
 * zone at its end stays. */
static void add_time(struct catalog_result *result, const char *text)
{
    const char *point = strchr(text, '.');
    size_t digits = point != NULL ? strspn(point + 1, "0123456789") : 0, kept = digits;
    scoped(strbuf_done) struct strbuf time = {0};

    while (kept > 0 && point[kept] == '0') {
        kept--;
    }
    if (digits == 0 || kept == digits) {
        strbuf_puts(&time, text);
    } else {
        strbuf_add(&time, text, (size_t)(point - text) + (kept > 0 ? kept + 1 : 0));
        strbuf_puts(&time, point + 1 + digits);
    }
    catalog_result_text(result, strbuf_text(&time), time.len);
}

/** "6f 6c 61" */
static void add_hex(struct catalog_result *result, const char *text)
{
    scoped(strbuf_done) struct strbuf packed = {0};

    for (; *text != '\0'; text++) {
        if (*text != ' ') {
            strbuf_putc(&packed, *text);
        }
    }
    catalog_result_text(result, strbuf_text(&packed), packed.len);
}

/** What is not of its column's type is shown as the text that it is, but for what no table of ours
 * can hold: NaN is no value there either. */
static void add_cell(struct catalog_result *result, enum cell_kind kind, const char *text)
{
    int64_t whole;
    double real;

    if (text == NULL || (kind == CELL_REAL && strcmp(text, "NaN") == 0)) {
        catalog_result_null(result);
    } else if (kind == CELL_INT && str_to_i64(text, &whole)) {
        catalog_result_int(result, whole);
    } else if (kind == CELL_REAL && str_to_double(text, &real)) {
        catalog_result_double(result, real);
    } else if (kind == CELL_REAL && str_ends(text, "Infinity")) {
        catalog_result_double(result, text[0] == '-' ? -INFINITY : INFINITY);
    } else if (kind == CELL_BOOL && (strcmp(text, "true") == 0 || strcmp(text, "false") == 0)) {
        catalog_result_int(result, text[0] == 't');
    } else if (kind == CELL_TIME) {
        add_time(result, text);
    } else if (kind == CELL_HEX) {
        add_hex(result, text);
    } else {
        catalog_result_text(result, text, strlen(text));
    }
}

static void on_columns(const struct athena_column *columns, unsigned count, void *arg)
{
    struct ops_asking *asking = arg;
    scoped(free) struct catalog_result_column *named =
        mem_zeroed(MAX_OF(count, 1) * sizeof(*named));

    asking->kinds = mem_zeroed(MAX_OF(count, 1) * sizeof(*asking->kinds));
    asking->kind_count = count;
    for (unsigned i = 0; i < count; i++) {
        named[i].name = columns[i].name;
        asking->kinds[i] = kind_of(columns[i].type, &named[i].type);
    }
    catalog_result_head(&asking->result, named, count);
}

static void on_row(const char *const *values, unsigned count, void *arg)
{
    struct ops_asking *asking = arg;

    if (asking->full) {
        return;
    }
    if (asking->out.len > CATALOG_QUERY_BYTES) {
        asking->full = true;
        athena_cancel(asking->query); /* no more pages */
        return;
    }
    catalog_result_row(&asking->result);
    for (unsigned i = 0; i < count; i++) {
        add_cell(&asking->result, i < asking->kind_count ? asking->kinds[i] : CELL_TEXT, values[i]);
    }
    catalog_result_row_end(&asking->result);
}

/* ---- the answer ---- */

/** What Athena bills: whole mebibytes, at least ten, a terabyte being 2^40; nothing for nothing. */
static double cost_of(uint64_t scanned, double price_per_tb)
{
    const uint64_t whole = (scanned + MEBIBYTE - 1) / MEBIBYTE * MEBIBYTE;

    return scanned == 0 ? 0 : (double)MAX_OF(whole, BILLED_MIN) / (double)TEBIBYTE * price_per_tb;
}

static void answer(struct ops_asking *asking, const struct athena_result *result)
{
    struct ops_call *call = asking->call;
    const double cost =
        cost_of(result->scanned_bytes, call->ops->services->conf->athena_price_per_tb);
    const bool csv = asking->result.format == CATALOG_CSV;
    const bool truncated = result->truncated || asking->full;
    scoped(strbuf_done) struct strbuf told = {0};

    strbuf_puts(&told, "\"engine\":\"athena\",\"query_id\":");
    strbuf_json(&told, result->id);
    strbuf_printf(&told, ",\"scanned_bytes\":%" PRIu64 ",\"cost_usd\":", result->scanned_bytes);
    strbuf_double(&told, cost);
    strbuf_printf(&told,
                  ",\"queued_ms\":%" PRId64 ",\"engine_ms\":%" PRId64 ",\"took_ms\":%" PRId64,
                  result->queued_ms, result->engine_ms, now_mono_ms() - asking->began_ms);
    if (csv) {
        scoped(free) char *header = str_printf("{%s}", strbuf_text(&told));

        http_responder_header(call->responder, "X-Truncated", truncated ? "true" : "false");
        http_responder_header(call->responder, "X-Query", header);
    }
    scoped(free) char *extra = str_printf(",%s", strbuf_text(&told));
    catalog_result_end(&asking->result, truncated, extra);
    ops_answer(call, 200, csv ? "text/csv; charset=utf-8" : "application/json", &asking->out);
}

static void forget(struct ops_asking *asking)
{
    struct ops *ops = asking->call->ops;

    if (asking->prev != NULL) {
        asking->prev->next = asking->next;
    } else {
        ops->askings = asking->next;
    }
    if (asking->next != NULL) {
        asking->next->prev = asking->prev;
    }
}

static void on_done(const struct athena_result *result, const struct err *err, void *arg)
{
    struct ops_asking *asking = arg;
    struct metric_registry *metrics = asking->call->ops->services->metrics;
    const bool good = err == NULL || (asking->full && err->rc == RC_CANCELED);
    struct err why;

    metric_add(metrics, METRIC_ATHENA_QUERIES, METRIC_LABELS(good ? "OK" : rc_name(err->rc)), 1);
    metric_add(metrics, METRIC_ATHENA_SCANNED, METRIC_LABELS(""), (double)result->scanned_bytes);
    forget(asking);
    if (good) {
        answer(asking, result);
    } else {
        why = *err;
        if (result->id[0] != '\0') {
            err_wrap(&why, "Athena query %s", result->id);
        }
        log_note(LOG_CONTROL, "%s", why.text);
        ops_problem_err(asking->call, &why);
    }
    strbuf_done(&asking->out);
    free(asking->kinds);
    free(asking);
}

/* ---- the question ---- */

static void on_gone(void *arg)
{
    struct ops_asking *asking = arg;

    athena_cancel(asking->query);
}

/** Of this question, so that a start whose answer was lost is not a second query. */
static void make_token(char ret_token[65])
{
    unsigned char bytes[32];

    if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes)) {
        abort();
    }
    for (unsigned i = 0; i < sizeof(bytes); i++) {
        snprintf(ret_token + 2 * (size_t)i, 3, "%02x", bytes[i]);
    }
}

static bool may_ask(struct ops_call *call, const char *sql)
{
    const struct services *services = call->ops->services;
    unsigned count = 0;
    struct err err;

    for (const struct ops_asking *asking = call->ops->askings; asking != NULL;
         asking = asking->next) {
        count++;
    }
    if (services->aws == NULL || (services->conf->athena_workgroup == NULL &&
                                  services->conf->athena_output_location == NULL)) {
        ops_problem(call, 501,
                    "Athena is not set up: give 'athena.workgroup', or "
                    "'athena.output_location'");
    } else if (sql_check_reads(sql, &err) != RC_OK) {
        ops_problem_err(call, &err);
    } else if (count >= MOST_ASKINGS) {
        http_responder_header(call->responder, "Retry-After", "1");
        ops_problem(call, 503, "%u queries are with Athena already; try again", count);
    } else {
        return true;
    }
    return false;
}

void ops_ask_athena(struct ops_call *call, const char *sql, enum catalog_format format)
{
    struct ops *ops = call->ops;
    const struct conf *conf = ops->services->conf;
    char token[65];
    struct ops_asking *asking;

    if (!may_ask(call, sql)) {
        return;
    }
    asking = mem_new(struct ops_asking);
    *asking = (struct ops_asking){.call = call,
                                  .next = ops->askings,
                                  .result = {.format = format},
                                  .began_ms = now_mono_ms()};
    asking->result.out = &asking->out;
    if (asking->next != NULL) {
        asking->next->prev = asking;
    }
    ops->askings = asking;
    make_token(token);
    const struct athena_options options = {.sql = sql,
                                           .workgroup = conf->athena_workgroup,
                                           .database = conf->athena_database,
                                           .output_location = conf->athena_output_location,
                                           .token = token,
                                           .total_ms = conf->athena_limit_ms,
                                           .max_rows = CATALOG_QUERY_ROWS};
    const struct athena_calls calls = {on_columns, on_row, on_done, asking};

    asking->query = athena_query(ops->services->aws, ops->services->loop, &options, &calls);
    http_responder_watch(call->responder, on_gone, asking);
}

void ops_athena_stop(struct ops *ops)
{
    for (struct ops_asking *asking = ops->askings; asking != NULL; asking = asking->next) {
        athena_cancel(asking->query);
    }
}
