/** @file
 * jobs, explain, logs: what happened to what.
 */
#include <inttypes.h>
#include <stdio.h>

#include "daemon/ctl/client.h"

#define OUTPUTS_SHOWN 10

static int64_t number(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

static const char *text(const json_t *object, const char *key)
{
    const char *value = json_string_value(json_object_get(object, key));

    return value != NULL ? value : "";
}

/** "2026-11-22T12:00:00.123Z" without its milliseconds, for people. */
static void short_time(const char *iso, char ret_text[32])
{
    snprintf(ret_text, 32, "%.19s", iso);
    if (ret_text[0] != '\0') {
        ret_text[10] = ' ';
    }
}

/* ---- jobs -------------------------------------------------------------------------------- */

static void add_job_row(struct ctl_table *table, const json_t *job)
{
    char entered[32], size[24];

    short_time(text(job, "entered"), entered);
    ctl_table_cellf(table, "%" PRId64, number(job, "id"));
    ctl_table_cell(table, text(job, "state"));
    ctl_table_cell(table, entered);
    ctl_table_cell(table, str_from_bytes((uint64_t)number(job, "size"), size));
    ctl_table_cell(table, text(job, "key"));
    ctl_table_cell(table, text(job, "reason"));
}

static enum ctl_exit run_jobs(struct ctl *ctl, const struct ctl_args *args)
{
    const char *state = ctl_value(args, "state");
    scoped(free) char *escaped = client_escape(state != NULL ? state : "");
    json_t *answer = NULL, *job;
    uint64_t limit;
    struct err err;
    size_t i;

    if (ctl_number(args, "limit", 1, 1000, 50, &limit, &err) != RC_OK) {
        return ctl_misuse("jobs", "%s", err.text);
    }
    scoped(free) char *path = str_printf("/v1/jobs?limit=%" PRIu64 "%s%s", limit,
                                         state != NULL ? "&state=" : "", escaped);
    const enum ctl_exit code = client_call(ctl, "GET", path, NULL, CLIENT_PATIENCE_MS, &answer);
    if (code != CTL_DONE) {
        return code;
    }
    if (ctl->json) {
        ctl_json(ctl, json_object_get(answer, "jobs"));
    } else {
        scoped(ctl_table_free) struct ctl_table *table =
            ctl_table_new(">JOB|STATE|SINCE|>SIZE|<KEY|<REASON");
        json_array_foreach(json_object_get(answer, "jobs"), i, job)
        {
            add_job_row(table, job);
        }
        ctl_table_print(ctl, table);
    }
    json_decref(answer);
    return CTL_DONE;
}

/* ---- explain ----------------------------------------------------------------------------- */

static void tell_object(struct ctl *ctl, const json_t *story)
{
    const json_t *object = json_object_get(story, "object");
    char first[32], size[24];

    ctl_say(ctl, "%s\n%s\n", text(story, "uri"), text(story, "verdict"));
    if (json_is_object(object)) {
        short_time(text(object, "first"), first);
        ctl_say(ctl, "\nobject    %s, etag %s, first seen %s%s\n",
                str_from_bytes((uint64_t)number(object, "size"), size), text(object, "etag"), first,
                json_is_true(json_object_get(object, "live")) ? "" : ", gone from the store");
    }
}

static void tell_sightings(struct ctl *ctl, const json_t *story)
{
    json_t *sighting;
    size_t i;
    char at[32];

    json_array_foreach(json_object_get(story, "sightings"), i, sighting)
    {
        short_time(text(sighting, "at"), at);
        ctl_say(ctl, "%s %s by %s: %s%s\n", i == 0 ? "sighted  " : "         ", at,
                text(sighting, "source"), text(sighting, "outcome"),
                json_is_true(json_object_get(sighting, "gone")) ? " (deleted)" : "");
    }
}

static void tell_transitions(struct ctl *ctl, const json_t *job)
{
    json_t *move;
    size_t i;
    char at[32];

    json_array_foreach(json_object_get(job, "transitions"), i, move)
    {
        const char *reason = text(move, "reason"), *ids = text(move, "request_ids");

        short_time(text(move, "at"), at);
        ctl_say(ctl, "          %s %s -> %s (%s by %s, after %" PRId64 " ms)%s%s%s%s\n", at,
                text(move, "from")[0] != '\0' ? text(move, "from") : "(new)", text(move, "to"),
                text(move, "event"), text(move, "actor"), number(move, "after_ms"),
                reason[0] != '\0' ? ": " : "", reason, ids[0] != '\0' ? " request ids " : "", ids);
    }
}

/** Of Glue: what it was in, and where its log is. */
static void tell_runs(struct ctl *ctl, const json_t *job)
{
    json_t *run;
    size_t i;
    char at[32];

    json_array_foreach(json_object_get(job, "runs"), i, run)
    {
        const double dpu = json_number_value(json_object_get(run, "dpu_seconds"));
        const char *error = text(run, "error"), *log = text(run, "log");

        short_time(text(run, "began"), at);
        ctl_say(ctl, "          %s Glue %s '%s' %s %s", at, text(run, "kind"), text(run, "name"),
                text(run, "id"), text(run, "state"));
        if (dpu > 0) {
            ctl_say(ctl, ", %.1f DPU seconds", dpu);
        }
        ctl_say(ctl, "%s%s\n", error[0] != '\0' ? ": " : "", error);
        if (log[0] != '\0') {
            ctl_say(ctl, "              log %s\n", log);
        }
    }
}

static void tell_job(struct ctl *ctl, const json_t *job)
{
    ctl_say(ctl, "\njob %-5" PRId64 " %s %s%s%s\n", number(job, "id"), text(job, "action"),
            text(job, "state"), text(job, "table")[0] != '\0' ? ", table " : "",
            text(job, "table"));
    if (json_is_string(json_object_get(job, "retry_at"))) {
        ctl_say(ctl, "          tried again at %s\n", text(job, "retry_at"));
    }
    tell_transitions(ctl, job);
    tell_runs(ctl, job);
}

/** On a terminal the first of them: the story above is not to scroll away. */
static void tell_outputs(struct ctl *ctl, const json_t *story)
{
    const json_t *outputs = json_object_get(story, "outputs");
    const size_t count = json_array_size(outputs);
    const size_t shown = ctl->terminal && count > OUTPUTS_SHOWN ? OUTPUTS_SHOWN : count;
    const int64_t more = number(story, "output_count") - (int64_t)shown;

    if (count == 0) {
        return;
    }
    ctl_say(ctl, "\n");
    scoped(ctl_table_free) struct ctl_table *table = ctl_table_new("OUTPUT|KIND|>BYTES|SHA256");
    for (size_t i = 0; i < shown; i++) {
        const json_t *output = json_array_get(outputs, i);
        ctl_table_cell(table, text(output, "key"));
        ctl_table_cell(table, text(output, "kind"));
        ctl_table_cellf(table, "%" PRId64, number(output, "bytes"));
        ctl_table_cellf(table, "%.12s", text(output, "sha256"));
    }
    ctl_table_print(ctl, table);
    if (more > 0) {
        ctl_say(ctl, "and %" PRId64 " more%s\n", more,
                shown < count ? "; '--json' shows all, and so does the table 'outputs'" : "");
    }
}

static enum ctl_exit run_explain(struct ctl *ctl, const struct ctl_args *args)
{
    json_t *story = NULL, *job;
    uint64_t id;
    size_t i;
    char *path;

    if (str_to_u64(args->words[0], &id)) {
        path = str_printf("/v1/jobs/%" PRIu64, id);
    } else {
        scoped(free) char *uri = client_uri(args->words[0]);
        scoped(free) char *escaped = client_escape(uri);
        path = str_printf("/v1/explain?uri=%s", escaped);
    }
    const enum ctl_exit code = client_call(ctl, "GET", path, NULL, CLIENT_PATIENCE_MS, &story);
    free(path);
    if (code != CTL_DONE) {
        return code;
    }
    if (ctl->json) {
        ctl_json(ctl, story);
    } else {
        tell_object(ctl, story);
        tell_sightings(ctl, story);
        json_array_foreach(json_object_get(story, "jobs"), i, job)
        {
            tell_job(ctl, job);
        }
        tell_outputs(ctl, story);
    }
    json_decref(story);
    return CTL_DONE;
}

/* ---- logs -------------------------------------------------------------------------------- */

/** Members that say most first; the others follow as they are. */
static bool show_event(const char *kind, const char *json, void *arg)
{
    const struct ctl *ctl = arg;
    scoped(strbuf_done) struct strbuf line = {0};
    json_t *event = json_loads(json, 0, NULL), *value;
    const char *key;
    char at[32];

    if (ctl->json) {
        json_t *whole =
            json_pack("{s:s,s:o}", "event", kind, "data", event != NULL ? event : json_null());
        char *text = json_dumps(whole, JSON_COMPACT);
        const bool written = ctl_write(text, strlen(text)) && ctl_write("\n", 1);
        free(text);
        json_decref(whole);
        return written;
    }
    short_time(text(event, "at"), at);
    strbuf_printf(&line, "%s%s%-10s", at, at[0] != '\0' ? " " : "", kind);
    json_object_foreach(event, key, value)
    {
        if (strcmp(key, "at") == 0 || json_is_null(value)) {
            continue;
        }
        scoped(free) char *other = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
        const char *shown = json_is_string(value) ? json_string_value(value) : other;
        if (*shown != '\0') {
            strbuf_printf(&line, " %s=%s", key, shown);
        }
    }
    ctl_say(ctl, "%s\n", strbuf_text(&line));
    json_decref(event);
    return ferror(stdout) == 0;
}

static enum ctl_exit run_logs(struct ctl *ctl, const struct ctl_args *args)
{
    const bool follow = ctl_flag(args, "follow");
    bool ended = false;
    const enum ctl_exit code =
        client_events(ctl, follow ? "/v1/events?after=0" : "/v1/events?after=0&follow=false",
                      show_event, NULL, ctl, &ended);

    if (code == CTL_DONE && follow && ended) {
        return ctl_fail("the daemon at '%s' has stopped", ctl->socket);
    }
    return code;
}

static const struct ctl_option jobs_options[] = {
    {"state", 0, "S", "only jobs in this state"},
    {"limit", 0, "N", "at most this many (default: 50, at most 1000)"},
    {NULL}};
const struct ctl_command ctl_cmd_jobs = {.name = "jobs",
                                         .arguments = "",
                                         .summary = "jobs, newest first",
                                         .options = jobs_options,
                                         .run = run_jobs};

const struct ctl_command ctl_cmd_explain = {
    .name = "explain",
    .arguments = "URI|JOB",
    .summary = "the whole story of an object, or why there is no job",
    .help = "Sightings, every transition with its time and reason, outputs, and the request ids of "
            "remote calls.",
    .min_words = 1,
    .max_words = 1,
    .run = run_explain};

static const struct ctl_option logs_options[] = {
    {"follow", 'f', NULL, "stay, and show what happens"}, {NULL}};
const struct ctl_command ctl_cmd_logs = {.name = "logs",
                                         .arguments = "",
                                         .summary =
                                             "the daemon's event stream: the last thousand events",
                                         .options = logs_options,
                                         .run = run_logs};
