/** @file
 * tables, query: the data catalog.
 */
#include <inttypes.h>
#include <stdio.h>

#include "daemon/ctl/client.h"

static int64_t number(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

static const char *text(const json_t *object, const char *key)
{
    const char *value = json_string_value(json_object_get(object, key));

    return value != NULL ? value : "";
}

/* ---- tables ------------------------------------------------------------------------------ */

static void list_tables(struct ctl *ctl, const json_t *answer)
{
    scoped(ctl_table_free) struct ctl_table *table =
        ctl_table_new("TABLE|FORMAT|>VERSION|>COLUMNS|>PARTITIONS|>OBJECTS|<LOCATION");
    json_t *row;
    size_t i;

    json_array_foreach(json_object_get(answer, "tables"), i, row)
    {
        ctl_table_cellf(table, "%s.%s", text(row, "database"), text(row, "name"));
        ctl_table_cell(table, text(row, "format"));
        ctl_table_cellf(table, "%" PRId64, number(row, "version"));
        ctl_table_cellf(table, "%" PRId64, number(row, "columns"));
        ctl_table_cellf(table, "%" PRId64, number(row, "partitions"));
        ctl_table_cellf(table, "%" PRId64, number(row, "objects"));
        ctl_table_cell(table, text(row, "location"));
    }
    ctl_table_print(ctl, table);
}

static void show_columns(struct ctl *ctl, const json_t *answer, const char *key, const char *title)
{
    const json_t *columns = json_object_get(answer, key);
    json_t *column;
    size_t i;

    if (json_array_size(columns) == 0) {
        return;
    }
    scoped(ctl_table_free) struct ctl_table *table = ctl_table_new(title);
    json_array_foreach(columns, i, column)
    {
        ctl_table_cell(table, text(column, "name"));
        ctl_table_cell(table, text(column, "type"));
        ctl_table_cell(table, text(column, "comment"));
    }
    ctl_say(ctl, "\n");
    ctl_table_print(ctl, table);
}

static void show_partitions(struct ctl *ctl, const json_t *answer)
{
    const json_t *partitions = json_object_get(answer, "partitions");
    json_t *partition;
    size_t i;

    if (json_array_size(partitions) == 0) {
        return;
    }
    scoped(ctl_table_free) struct ctl_table *table = ctl_table_new("PARTITION|>OBJECTS|<LOCATION");
    json_array_foreach(partitions, i, partition)
    {
        ctl_table_cell(table, text(partition, "values"));
        ctl_table_cellf(table, "%" PRId64, number(partition, "objects"));
        ctl_table_cell(table, text(partition, "location"));
    }
    ctl_say(ctl, "\n");
    ctl_table_print(ctl, table);
    if (number(answer, "partition_count") > (int64_t)json_array_size(partitions)) {
        ctl_say(ctl, "and %" PRId64 " more\n",
                number(answer, "partition_count") - (int64_t)json_array_size(partitions));
    }
}

static void show_versions(struct ctl *ctl, const json_t *answer)
{
    scoped(ctl_table_free) struct ctl_table *table = ctl_table_new(">VERSION|SINCE|CHANGE");
    json_t *version;
    size_t i;

    json_array_foreach(json_object_get(answer, "versions"), i, version)
    {
        ctl_table_cellf(table, "%" PRId64, number(version, "version"));
        ctl_table_cell(table, text(version, "created"));
        ctl_table_cell(table, text(version, "change"));
    }
    ctl_say(ctl, "\n");
    ctl_table_print(ctl, table);
}

static enum ctl_exit run_tables(struct ctl *ctl, const struct ctl_args *args)
{
    scoped(free) char *name = client_escape(args->word_count > 0 ? args->words[0] : "");
    scoped(free) char *path =
        str_printf(args->word_count > 0 ? "/v1/tables/%s" : "/v1/tables%s", name);
    json_t *answer = NULL;
    const enum ctl_exit code = client_call(ctl, "GET", path, NULL, CLIENT_PATIENCE_MS, &answer);

    if (code != CTL_DONE) {
        return code;
    }
    if (ctl->json) {
        ctl_json(ctl, args->word_count > 0 ? answer : json_object_get(answer, "tables"));
    } else if (args->word_count == 0) {
        list_tables(ctl, answer);
    } else {
        ctl_say(ctl, "%s.%s  %s  version %" PRId64 "  %s\n", text(answer, "database"),
                text(answer, "name"), text(answer, "format"), number(answer, "version"),
                text(answer, "location"));
        show_columns(ctl, answer, "columns", "COLUMN|TYPE|COMMENT");
        show_columns(ctl, answer, "partition_keys", "PARTITION KEY|TYPE|COMMENT");
        show_partitions(ctl, answer);
        show_versions(ctl, answer);
    }
    json_decref(answer);
    return CTL_DONE;
}

/* ---- query ------------------------------------------------------------------------------- */

static void cell_of(struct ctl_table *table, const json_t *value)
{
    if (json_is_string(value)) {
        ctl_table_cell(table, json_string_value(value));
    } else if (json_is_integer(value)) {
        ctl_table_cellf(table, "%" PRId64, (int64_t)json_integer_value(value));
    } else if (json_is_real(value)) { /* for people; csv and json have all of its digits */
        ctl_table_cellf(table, "%.10g", json_real_value(value));
    } else {
        ctl_table_cell(table, json_is_true(value) ? "true" : json_is_false(value) ? "false" : "");
    }
}

/** Titles for ctl_table_new(): numbers to the right, whatever a column calls itself. */
static char *titles_of(const json_t *answer)
{
    const json_t *first = json_array_get(json_object_get(answer, "rows"), 0);
    struct strbuf titles = {0};
    json_t *column;
    size_t i;

    json_array_foreach(json_object_get(answer, "columns"), i, column)
    {
        const char *name =
            json_is_object(column) ? text(column, "name") : json_string_value(column);
        scoped(strbuf_done) struct strbuf clean = {0};

        ctl_clean(&clean, name != NULL ? name : "");
        for (char *p = clean.data; p != NULL && *p != '\0'; p++) {
            *p = *p == '|' ? '/' : *p;
        }
        strbuf_printf(&titles, "%s%s%s", i > 0 ? "|" : "",
                      json_is_number(json_array_get(first, i)) ? ">" : "=", strbuf_text(&clean));
    }
    return strbuf_take(&titles);
}

static void show_rows(struct ctl *ctl, const json_t *answer)
{
    const size_t columns = json_array_size(json_object_get(answer, "columns"));
    json_t *row;
    size_t i;

    if (columns > 64) {
        ctl_warn("a table of %zu columns is not for people; use '--format csv'", columns);
        return;
    }
    scoped(free) char *titles = titles_of(answer);
    scoped(ctl_table_free) struct ctl_table *table = ctl_table_new(titles);
    json_array_foreach(json_object_get(answer, "rows"), i, row)
    {
        for (size_t c = 0; c < columns; c++) {
            cell_of(table, json_array_get(row, c));
        }
    }
    ctl_table_print(ctl, table);
    if (json_is_true(json_object_get(answer, "truncated"))) {
        ctl_warn("there are more rows than the limit lets through; use LIMIT and OFFSET");
    }
}

/** What the question has cost, where it costs: on standard error, so that the rows stay the rows.
 */
static void tell_cost(const json_t *about)
{
    char bytes[24];

    if (strcmp(text(about, "engine"), "athena") == 0) {
        fflush(stdout);
        fprintf(stderr, "athena: %s scanned, about $%.6f, %.1f s\n",
                str_from_bytes((uint64_t)number(about, "scanned_bytes"), bytes),
                json_number_value(json_object_get(about, "cost_usd")),
                (double)number(about, "took_ms") / 1000);
    }
}

/** CSV as the daemon writes it. */
static enum ctl_exit query_csv(struct ctl *ctl, json_t *request, int64_t patience_ms)
{
    scoped(strbuf_done) struct strbuf bytes = {0};
    scoped(free) char *about_text = NULL;
    const enum ctl_exit code = client_fetch_noting(ctl, "POST", "/v1/query", request, patience_ms,
                                                   "X-Query", &about_text, &bytes);

    if (code != CTL_DONE) {
        return code;
    }
    ctl_write(strbuf_text(&bytes), bytes.len);
    json_t *about = json_loads(about_text, 0, NULL);

    tell_cost(about);
    json_decref(about);
    return CTL_DONE;
}

static enum ctl_exit run_query(struct ctl *ctl, const struct ctl_args *args)
{
    const char *engine = ctl_value(args, "engine"), *format = ctl_value(args, "format");
    json_t *request, *answer = NULL;

    engine = engine != NULL ? engine : "local";
    format = format != NULL ? format : ctl->json ? "json" : "table";
    if (strcmp(engine, "local") != 0 && strcmp(engine, "athena") != 0) {
        return ctl_misuse("query", "unknown engine '%s'; there are 'local' and 'athena'", engine);
    }
    if (strcmp(format, "table") != 0 && strcmp(format, "csv") != 0 && strcmp(format, "json") != 0) {
        return ctl_misuse("query", "unknown format '%s'; there are 'table', 'csv' and 'json'",
                          format);
    }
    request = json_pack("{s:s,s:s,s:s}", "sql", args->words[0], "engine", engine, "format",
                        strcmp(format, "csv") == 0 ? "csv" : "json");
    if (request == NULL) {
        return ctl_misuse("query", "the statement is not UTF-8");
    }
    /* Athena has its own limit, athena.limit; who does not want to wait for it presses Ctrl-C. */
    const int64_t patience_ms = strcmp(engine, "local") == 0 ? 2 * CLIENT_PATIENCE_MS : 0;

    if (strcmp(format, "csv") == 0) {
        return query_csv(ctl, request, patience_ms);
    }
    const enum ctl_exit code = client_call(ctl, "POST", "/v1/query", request, patience_ms, &answer);

    if (code == CTL_DONE && strcmp(format, "json") == 0) {
        ctl_json(ctl, answer);
    } else if (code == CTL_DONE) {
        show_rows(ctl, answer);
    }
    if (code == CTL_DONE) {
        tell_cost(answer);
    }
    json_decref(answer);
    return code;
}

const struct ctl_command ctl_cmd_tables = {
    .name = "tables",
    .arguments = "[NAME]",
    .summary = "the data catalog: tables, or one table's columns, partitions and versions",
    .max_words = 1,
    .run = run_tables};

static const struct ctl_option query_options[] = {
    {"engine", 0, "ENGINE", "local (the default) or athena"},
    {"format", 0, "FORMAT", "table (the default), csv or json"},
    {NULL}};
const struct ctl_command ctl_cmd_query = {
    .name = "query",
    .arguments = "SQL",
    .summary =
        "read-only SQL over events, frames, flashes, objects, outputs and the crawled tables",
    .options = query_options,
    .min_words = 1,
    .max_words = 1,
    .run = run_query};
