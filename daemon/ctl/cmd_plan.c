/** @file
 * plan: what the present selection would do, and about what it would cost, before anything runs.
 */
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "daemon/ctl/ctl_conf.h"
#include "daemon/ctl/ctl_plan.h"
#include "lib/base/mem.h"

/** What is assumed where nobody says otherwise: list prices in dollars, which change. Nobody asks
 * AWS for them. */
#define PRICES_OF "us-east-1, January 2025"
#define PRICE_ASSUMED "assumed"
#define GIGABYTE 1e9
#define TEBIBYTE 1099511627776.0
/** Of a run of Glue, by rule of thumb: workers of one DPU, and what one cleans in a second. */
#define GLUE_WORKERS 2
#define GLUE_RUN_OBJECTS 1000
#define GLUE_BYTES_S 20e6
#define GLUE_LEAST_S 60.0
#define CRAWL_LEAST_S 600.0
/** A line of `frames`, on the average. */
#define FRAME_LINE 230

/* clang-format off */
#define PRICE_MAP(X)                                                                               \
    X(GET,      "s3.get_1000",      0.0004, "a thousand GET, HEAD")                                \
    X(PUT,      "s3.put_1000",      0.005,  "a thousand PUT, COPY, LIST")                          \
    X(TRANSFER, "s3.transfer_gb",   0.09,   "a gigabyte out of the region; 0 within it")           \
    X(DPU,      "glue.dpu_hour",    0.44,   "a DPU-hour of a crawler or a job")                    \
    X(SCAN,     "athena.scan_tb",   5.0,    "a terabyte scanned")
/* clang-format on */
enum price {
#define X(name, text, dollars, what) PRICE_##name,
    PRICE_MAP(X)
#undef X
        PRICE_COUNT
};
static const struct {
    const char *name, *what;
    double dollars;
} price_list[] = {
#define X(name, text, dollars, what) {text, what, dollars},
    PRICE_MAP(X)
#undef X
};

struct estimate {
    const struct ctl_plan *plan;
    double prices[PRICE_COUNT];
    const char *price_from[PRICE_COUNT]; /**< Who says so: PRICE_ASSUMED, or an option. */
    uint64_t gets, puts, lists, events, frames, fetch_bytes, needed_bytes;
    double local, transfer, crawl_dpu_hours, job_dpu_hours, glue, scan_bytes, athena;
};

static void estimate_make(struct estimate *e)
{
    const struct ctl_plan *plan = e->plan;
    uint64_t looked = plan->catalogs + plan->tables, fetches = 0;

    for (unsigned t = 0; t < SEVIR_TYPE_COUNT; t++) {
        looked += plan->types[t].objects;
        fetches += plan->types[t].fetches;
        e->events += plan->types[t].events;
        e->frames += plan->types[t].frames;
        e->fetch_bytes += plan->types[t].fetch_bytes;
        e->needed_bytes += plan->types[t].needed_bytes;
    }
    /* An object is looked at, read for what it is, and then its rows are. */
    e->gets = 2 * looked + fetches;
    e->puts = plan->frames_files + plan->flashes_files + plan->catalog_files + plan->table_files +
              plan->images + plan->sheets + plan->packed + plan->manifests;
    e->lists = plan->listed / 1000 + 1;
    e->local = ((double)e->gets * e->prices[PRICE_GET] +
                (double)(e->puts + e->lists) * e->prices[PRICE_PUT]) /
               1000;
    e->transfer =
        (double)(e->fetch_bytes + plan->tables_bytes) / GIGABYTE * e->prices[PRICE_TRANSFER];

    const uint64_t runs = (plan->tables + GLUE_RUN_OBJECTS - 1) / GLUE_RUN_OBJECTS;
    const double work_s = (double)plan->tables_bytes / GLUE_BYTES_S / GLUE_WORKERS;

    e->crawl_dpu_hours = (double)runs * CRAWL_LEAST_S * GLUE_WORKERS / 3600;
    e->job_dpu_hours = ((double)runs * GLUE_LEAST_S + work_s) * GLUE_WORKERS / 3600;
    e->glue = (e->crawl_dpu_hours + e->job_dpu_hours) * e->prices[PRICE_DPU];
    e->scan_bytes = (double)e->frames * FRAME_LINE + (double)plan->tables_bytes;
    e->athena = e->scan_bytes / TEBIBYTE * e->prices[PRICE_SCAN];
}

/* ---- output ---- */

static json_t *types_json(const struct ctl_plan *plan)
{
    json_t *types = json_object();

    for (unsigned t = 0; t < SEVIR_TYPE_COUNT; t++) {
        const struct ctl_plan_type *type = &plan->types[t];

        json_object_set_new(types, sevir_type_name((enum sevir_type)t),
                            json_pack("{s:I,s:I,s:I,s:I,s:I,s:I}", "objects",
                                      (json_int_t)type->objects, "object_bytes",
                                      (json_int_t)type->object_bytes, "events",
                                      (json_int_t)type->events, "frames", (json_int_t)type->frames,
                                      "fetch_bytes", (json_int_t)type->fetch_bytes, "needed_bytes",
                                      (json_int_t)type->needed_bytes));
    }
    return types;
}

static json_t *problems_json(const struct ctl_plan *plan)
{
    json_t *list = json_array();

    for (const char *at = strbuf_text(&plan->problems); *at != '\0';) {
        const size_t len = strcspn(at, "\n");

        json_array_append_new(list, json_stringn_nocheck(at, len));
        at += len + (at[len] == '\n');
    }
    return list;
}

static json_t *outputs_json(const struct ctl_plan *plan)
{
    return json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "frames", (json_int_t)plan->frames_files,
                     "flashes", (json_int_t)plan->flashes_files, "catalog",
                     (json_int_t)plan->catalog_files, "table", (json_int_t)plan->table_files,
                     "image", (json_int_t)plan->images, "sheet", (json_int_t)plan->sheets, "packed",
                     (json_int_t)plan->packed, "manifest", (json_int_t)plan->manifests);
}

static json_t *costs_json(const struct estimate *e)
{
    json_t *prices = json_object(), *from = json_object();

    for (unsigned i = 0; i < PRICE_COUNT; i++) {
        json_object_set_new(prices, price_list[i].name, json_real(e->prices[i]));
        json_object_set_new(from, price_list[i].name, json_string(e->price_from[i]));
    }
    return json_pack("{s:s,s:o,s:o,s:{s:f,s:f},s:{s:f,s:f,s:f},s:{s:f,s:f}}", "prices_of",
                     PRICES_OF, "prices", prices, "prices_from", from, "local", "requests_usd",
                     e->local, "transfer_usd", e->transfer, "glue", "crawl_dpu_hours",
                     e->crawl_dpu_hours, "job_dpu_hours", e->job_dpu_hours, "usd", e->glue,
                     "athena", "scan_bytes", e->scan_bytes, "scan_usd", e->athena);
}

static void print_json(const struct ctl *ctl, const struct estimate *e)
{
    const struct ctl_plan *plan = e->plan;
    json_t *told = json_pack(
        "{s:{s:I,s:I},s:{s:I,s:I},s:o,s:{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I},s:{s:I,s:I},s:I,s:I,s:I,"
        "s:I}",
        "store", "objects", (json_int_t)plan->listed, "bytes", (json_int_t)plan->listed_bytes,
        "catalog", "rows", (json_int_t)plan->catalog_rows, "selected",
        (json_int_t)plan->selected_rows, "types", types_json(plan), "objects", "catalogs",
        (json_int_t)plan->catalogs, "tables", (json_int_t)plan->tables, "tables_bytes",
        (json_int_t)plan->tables_bytes, "excluded", (json_int_t)plan->excluded, "waiting",
        (json_int_t)plan->waiting, "other", (json_int_t)plan->other, "foreign",
        (json_int_t)plan->foreign, "failing", (json_int_t)plan->problem_count, "missing", "files",
        (json_int_t)plan->missing, "events", (json_int_t)plan->missing_events, "events",
        (json_int_t)e->events, "frames", (json_int_t)e->frames, "fetch_bytes",
        (json_int_t)e->fetch_bytes, "needed_bytes", (json_int_t)e->needed_bytes);

    json_object_set_new(told, "outputs", outputs_json(plan));
    json_object_set_new(told, "requests",
                        json_pack("{s:I,s:I,s:I}", "get", (json_int_t)e->gets, "put",
                                  (json_int_t)e->puts, "list", (json_int_t)e->lists));
    json_object_set_new(told, "cost", costs_json(e));
    json_object_set_new(told, "problems", problems_json(plan));
    ctl_json(ctl, told);
    json_decref(told);
}

static void line(struct ctl_table *table, const char *what, uint64_t count, uint64_t bytes,
                 const char *note)
{
    char text[24];

    ctl_table_cell(table, what);
    ctl_table_cellf(table, "%" PRIu64, count);
    ctl_table_cell(table, bytes > 0 ? str_from_bytes(bytes, text) : "");
    ctl_table_cell(table, note);
}

static void print_input(const struct ctl *ctl, const struct estimate *e)
{
    const struct ctl_plan *plan = e->plan;
    scoped(ctl_table_free) struct ctl_table *table =
        ctl_table_new("TYPE|>OBJECTS|>EVENTS|>FRAMES|>TO FETCH");
    char bytes[24];

    for (unsigned t = 0; t < SEVIR_TYPE_COUNT; t++) {
        const struct ctl_plan_type *type = &plan->types[t];

        if (type->events > 0) {
            ctl_table_cell(table, sevir_type_name((enum sevir_type)t));
            ctl_table_cellf(table, "%" PRIu64, type->objects);
            ctl_table_cellf(table, "%" PRIu64, type->events);
            ctl_table_cellf(table, "%" PRIu64, type->frames);
            ctl_table_cell(table, str_from_bytes(type->fetch_bytes, bytes));
        }
    }
    ctl_table_print(ctl, table);
}

static void print_work(const struct ctl *ctl, const struct estimate *e)
{
    const struct ctl_plan *plan = e->plan;
    scoped(ctl_table_free) struct ctl_table *table = ctl_table_new("WHAT|>COUNT|>BYTES|<NOTE");

    line(table, "objects in the store", plan->listed, plan->listed_bytes, "");
    line(table, "catalogs", plan->catalogs, 0, "");
    line(table, "other tables", plan->tables, plan->tables_bytes, "");
    line(table, "objects not selected", plan->excluded, 0, "");
    line(table, "objects without rows", plan->waiting, 0, "wait for a catalog");
    line(table, "HDF5 files of others", plan->foreign, 0, "are noted in the data catalog");
    line(table, "other objects", plan->other, 0, "are looked at, nothing more");
    if (plan->missing > 0) {
        scoped(free) char *note =
            str_printf("%" PRIu64 " selected events are in them", plan->missing_events);
        line(table, "files not in the store", plan->missing, 0, note);
    }
    line(table, "rows of the catalog", plan->catalog_rows, 0, "");
    line(table, "selected rows", plan->selected_rows, 0, "");
    line(table, "events", e->events, e->fetch_bytes, "to fetch");
    line(table, "frames", e->frames, 0, "");
    line(table, "CSV files out",
         plan->frames_files + plan->flashes_files + plan->catalog_files + plan->table_files, 0, "");
    line(table, "pictures out", plan->images + plan->sheets + plan->packed, 0, "");
    line(table, "manifests out", plan->manifests, 0, "");
    line(table, "GET and HEAD", e->gets, 0, "about");
    line(table, "PUT", e->puts, 0, "outputs and manifests");
    line(table, "LIST", e->lists, 0, "for each look");
    ctl_table_print(ctl, table);
}

static void print_costs(const struct ctl *ctl, const struct estimate *e)
{
    scoped(ctl_table_free) struct ctl_table *table = ctl_table_new("ENGINE|FOR|>ABOUT $");

    ctl_table_cell(table, "local");
    ctl_table_cell(table, "requests to S3");
    ctl_table_cellf(table, "%.4f", e->local);
    ctl_table_cell(table, "local");
    ctl_table_cell(table, "transfer, if the daemon runs elsewhere than the bucket");
    ctl_table_cellf(table, "%.4f", e->transfer);
    ctl_table_cell(table, "glue");
    ctl_table_cellf(table, "%.2f DPU-hours for the tables", e->crawl_dpu_hours + e->job_dpu_hours);
    ctl_table_cellf(table, "%.4f", e->glue);
    ctl_table_cell(table, "athena");
    ctl_table_cell(table, "one look at every row of frames and the tables");
    ctl_table_cellf(table, "%.4f", e->athena);
    ctl_table_print(ctl, table);
}

static void print_prices(const struct ctl *ctl, const struct estimate *e)
{
    scoped(ctl_table_free) struct ctl_table *table = ctl_table_new("PRICE|OF|>$|FROM");

    for (unsigned i = 0; i < PRICE_COUNT; i++) {
        ctl_table_cell(table, price_list[i].name);
        ctl_table_cell(table, price_list[i].what);
        ctl_table_cellf(table, "%g", e->prices[i]);
        ctl_table_cell(table, e->price_from[i]);
    }
    ctl_table_print(ctl, table);
    ctl_say(ctl,
            "assumed: list prices of %s, which AWS was not asked for; give yours by --price "
            "NAME=DOLLARS\n",
            PRICES_OF);
}

static void print_people(const struct ctl *ctl, const struct estimate *e)
{
    print_work(ctl, e);
    if (e->events > 0) {
        ctl_say(ctl, "\n");
        print_input(ctl, e);
    }
    ctl_say(ctl, "\n");
    print_costs(ctl, e);
    ctl_say(ctl, "\n");
    print_prices(ctl, e);
    if (e->plan->problem_count > 0) {
        ctl_say(ctl, "\nwould fail:\n%s", strbuf_text(&e->plan->problems));
    }
}

/* ---- the command ---- */

static enum rc take_price(struct estimate *e, const char *text, struct err *err)
{
    const size_t len = strcspn(text, "=");
    double dollars;

    for (unsigned i = 0; i < PRICE_COUNT; i++) {
        if (strlen(price_list[i].name) == len && strncmp(price_list[i].name, text, len) == 0) {
            if (text[len] == '=' && str_to_double(text + len + 1, &dollars) && dollars >= 0) {
                e->prices[i] = dollars;
                e->price_from[i] = "--price";
                return RC_OK;
            }
            return err_set(err, RC_INVALID, "'--price': '%.60s' is no %s=DOLLARS", text,
                           price_list[i].name);
        }
    }
    return err_set(err, RC_INVALID,
                   "'--price': '%.60s': there are s3.get_1000, s3.put_1000, s3.transfer_gb, "
                   "glue.dpu_hour, athena.scan_tb",
                   text);
}

static enum rc take_prices(const struct ctl_args *args, const struct conf *conf, struct estimate *e,
                           struct err *err)
{
    for (unsigned i = 0; i < PRICE_COUNT; i++) {
        e->prices[i] = price_list[i].dollars;
        e->price_from[i] = PRICE_ASSUMED;
    }
    if (conf != NULL) {
        e->prices[PRICE_SCAN] = conf->athena_price_per_tb;
        e->price_from[PRICE_SCAN] = "athena.price_per_tb";
    }
    for (unsigned i = 0; i < args->given_count; i++) {
        if (strcmp(args->given[i].option->name, "price") == 0 &&
            take_price(e, args->given[i].value, err) != RC_OK) {
            return err->rc;
        }
    }
    return RC_OK;
}

/** Whether the command line selects anything itself: then the file's selection does not count. */
static bool selects(const struct ctl_args *args)
{
    static const char *const names[] = {"year",       "month", "type", "events",
                                        "event-type", "id",    "bbox", "limit"};

    for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
        if (ctl_value(args, names[i]) != NULL) {
            return true;
        }
    }
    return false;
}

static enum ctl_exit plan_with(struct ctl *ctl, const struct ctl_args *args,
                               const struct conf *conf, const struct selection *selection)
{
    scoped(ctl_run_free) struct ctl_run *run = ctl_run_new(ctl, args);
    scoped(ctl_plan_done) struct ctl_plan plan = {0};
    struct estimate estimate = {.plan = &plan};
    const struct ctl_plan_wish wish = {
        .raw_uri = conf != NULL ? conf->raw_uri : NULL,
        .catalog = ctl_value(args, "catalog"),
        .selection = conf != NULL && !selects(args) ? &conf->select : selection,
        .images = conf != NULL ? conf->extract_images : IMAGES_FRAMES,
    };
    struct err err;

    if (take_prices(args, conf, &estimate, &err) != RC_OK) {
        return ctl_misuse("plan", "%s", err.text);
    }
    if ((conf != NULL && ctl_conf_source(run, conf, &err) != RC_OK) ||
        ctl_plan_make(run, &wish, &plan, &err) != RC_OK) {
        return ctl_fail_err(&err);
    }
    estimate_make(&estimate);
    if (ctl->json) {
        print_json(ctl, &estimate);
    } else {
        print_people(ctl, &estimate);
    }
    return CTL_DONE;
}

static enum ctl_exit run_plan(struct ctl *ctl, const struct ctl_args *args)
{
    scoped(conf_free) struct conf *conf = NULL;
    struct selection selection = {0};
    enum ctl_exit code;
    struct err err;

    /* A catalog alone will do; a configuration that was named, or that there is, is read. */
    if ((ctl_value(args, "config") != NULL || ctl_value(args, "catalog") == NULL) &&
        ctl_conf_load(args, &conf, &err) != RC_OK) {
        return ctl_fail_err(&err);
    }
    if (ctl_selection(args, &selection, &err) != RC_OK) {
        code = ctl_misuse("plan", "--%s", err.text);
    } else {
        code = plan_with(ctl, args, conf, &selection);
    }
    selection_done(&selection);
    return code;
}

static const struct ctl_option options[] = {
    {"config", 0, "FILE", "the daemon's configuration (default: " CTL_CONFIG ")"},
    {"catalog", 0, "URI", "this CATALOG.csv instead of those in the raw store"},
    {"price", 0, "NAME=DOLLARS",
     "another price (repeatable): s3.get_1000, s3.put_1000, "
     "s3.transfer_gb, glue.dpu_hour, athena.scan_tb"},
    CTL_SELECTION_OPTIONS,
    CTL_S3_OPTIONS,
    {NULL}};

const struct ctl_command ctl_cmd_plan = {
    .name = "plan",
    .arguments = "",
    .summary = "what a selection would do and cost: objects, bytes, events, outputs, requests",
    .help = "Counts what a daemon with this configuration would do that has done nothing yet. The\n"
            "raw store is listed, its catalogs are read, and the files of selected events are\n"
            "looked into; nothing is written. Options of the selection take the place of the\n"
            "file's. With --catalog alone, without --config, the catalog's files are taken as it\n"
            "describes them. Costs are estimates, by prices that are assumed (list prices "
            "of\n" PRICES_OF ") unless --price or athena.price_per_tb gives others: engines\n"
            "'local' (requests to S3, and transfer), 'glue' (DPU-hours of crawler and job) and\n"
            "'athena'.",
    .options = options,
    .max_words = 0,
    .local = true,
    .run = run_plan,
};
