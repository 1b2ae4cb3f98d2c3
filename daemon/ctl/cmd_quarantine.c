/** @file
 * quarantine: the jobs and the messages that nobody could do anything with.
 */
#include <inttypes.h>
#include <stdio.h>

#include "daemon/ctl/client.h"

static const char *text(const json_t *object, const char *key)
{
    const char *value = json_string_value(json_object_get(object, key));

    return value != NULL ? value : "";
}

static int64_t number(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

/** "2026-11-22 12:00:00", for people. */
static void cell_time(struct ctl_table *table, const char *iso)
{
    char short_time[32];

    snprintf(short_time, sizeof(short_time), "%.19s", iso);
    if (short_time[0] != '\0') {
        short_time[10] = ' ';
    }
    ctl_table_cell(table, short_time);
}

static void print_jobs(struct ctl *ctl, const json_t *jobs)
{
    scoped(ctl_table_free) struct ctl_table *table = ctl_table_new(">JOB|SINCE|CLASS|<KEY|<REASON");
    json_t *job;
    size_t i;

    json_array_foreach(jobs, i, job)
    {
        ctl_table_cellf(table, "%" PRId64, number(job, "id"));
        cell_time(table, text(job, "since"));
        ctl_table_cell(table, text(job, "class"));
        ctl_table_cell(table, text(job, "key"));
        ctl_table_cell(table, text(job, "reason"));
    }
    ctl_table_print(ctl, table);
}

static void print_messages(struct ctl *ctl, const json_t *messages)
{
    scoped(ctl_table_free) struct ctl_table *table =
        ctl_table_new(">MESSAGE|SINCE|>RECEIVES|>BYTES|<QUEUE|<REASON");
    json_t *message;
    size_t i;

    json_array_foreach(messages, i, message)
    {
        ctl_table_cellf(table, "%" PRId64, number(message, "id"));
        cell_time(table, text(message, "first"));
        ctl_table_cellf(table, "%" PRId64, number(message, "receives"));
        ctl_table_cellf(table, "%" PRId64, number(message, "bytes"));
        ctl_table_cell(table, text(message, "queue"));
        ctl_table_cell(table, text(message, "reason"));
    }
    ctl_table_print(ctl, table);
}

static enum ctl_exit list(struct ctl *ctl, uint64_t limit)
{
    scoped(free) char *path = str_printf("/v1/quarantine?limit=%" PRIu64, limit);
    json_t *answer = NULL;
    const enum ctl_exit code = client_call(ctl, "GET", path, NULL, CLIENT_PATIENCE_MS, &answer);

    if (code != CTL_DONE) {
        return code;
    }
    const json_t *messages = json_object_get(answer, "messages");

    if (ctl->json) {
        ctl_json(ctl, answer);
    } else {
        print_jobs(ctl, json_object_get(answer, "jobs"));
        if (json_array_size(messages) > 0) {
            ctl_say(ctl, "\nmessages that could not be read (--show N, --drop N):\n");
            print_messages(ctl, messages);
        }
    }
    json_decref(answer);
    return CTL_DONE;
}

static enum ctl_exit show(struct ctl *ctl, uint64_t id)
{
    scoped(free) char *path = str_printf("/v1/messages/%" PRIu64, id);
    json_t *answer = NULL;
    const enum ctl_exit code = client_call(ctl, "GET", path, NULL, CLIENT_PATIENCE_MS, &answer);

    if (code == CTL_DONE && ctl->json) {
        ctl_json(ctl, answer);
    } else if (code == CTL_DONE) {
        ctl_say(ctl, "queue     %s\nmessage   %s\nreceived  %" PRId64 " times, last %s\n",
                text(answer, "queue"), text(answer, "message"), number(answer, "receives"),
                text(answer, "last"));
        ctl_say(ctl, "reason    %s\n\n%s\n", text(answer, "reason"), text(answer, "body"));
    }
    json_decref(answer);
    return code;
}

static enum ctl_exit drop(struct ctl *ctl, uint64_t id)
{
    scoped(free) char *path = str_printf("/v1/messages/%" PRIu64 "/drop", id);
    json_t *answer = NULL;
    const enum ctl_exit code = client_call(ctl, "POST", path, NULL, CLIENT_PATIENCE_MS, &answer);

    if (code == CTL_DONE && ctl->json) {
        ctl_json(ctl, answer);
    } else if (code == CTL_DONE) {
        ctl_say(ctl, "message %" PRIu64 " is forgotten\n", id);
    }
    json_decref(answer);
    return code;
}

static enum ctl_exit run_quarantine(struct ctl *ctl, const struct ctl_args *args)
{
    uint64_t limit, shown, dropped;
    struct err err;

    if (ctl_number(args, "limit", 1, 1000, 50, &limit, &err) != RC_OK ||
        ctl_number(args, "show", 1, INT64_MAX, 0, &shown, &err) != RC_OK ||
        ctl_number(args, "drop", 1, INT64_MAX, 0, &dropped, &err) != RC_OK) {
        return ctl_misuse("quarantine", "%s", err.text);
    }
    if (shown != 0 && dropped != 0) {
        return ctl_misuse("quarantine", "--show and --drop exclude each other");
    }
    return shown != 0 ? show(ctl, shown) : dropped != 0 ? drop(ctl, dropped) : list(ctl, limit);
}

static const struct ctl_option options[] = {
    {"limit", 'n', "N", "at most this many jobs, and as many messages (default: 50)"},
    {"show", 0, "N", "message N whole"},
    {"drop", 0, "N", "forget message N"},
    {NULL}};
const struct ctl_command ctl_cmd_quarantine = {
    .name = "quarantine",
    .arguments = "",
    .summary = "jobs and messages that nobody could do anything with",
    .help = "Quarantined jobs run again with 'sevirctl retry'. Messages are those of queues that "
            "could not be read: they have left their queue, and are kept until they are dropped.",
    .options = options,
    .run = run_quarantine};
