/** @file
 * status: one look. top: the same, live.
 */
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "daemon/ctl/client.h"
#include "lib/base/now.h"

static int64_t number(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

static const char *text(const json_t *object, const char *key)
{
    const char *value = json_string_value(json_object_get(object, key));

    return value != NULL ? value : "";
}

/** "12s", "3m 20s", "2h 5m", "4d 1h". */
static void age(int64_t seconds, char ret_text[32])
{
    if (seconds < 60) {
        snprintf(ret_text, 32, "%" PRId64 "s", seconds);
    } else if (seconds < 3600) {
        snprintf(ret_text, 32, "%" PRId64 "m %" PRId64 "s", seconds / 60, seconds % 60);
    } else if (seconds < 86400) {
        snprintf(ret_text, 32, "%" PRId64 "h %" PRId64 "m", seconds / 3600, seconds / 60 % 60);
    } else {
        snprintf(ret_text, 32, "%" PRId64 "d %" PRId64 "h", seconds / 86400, seconds / 3600 % 24);
    }
}

static void add_jobs(struct strbuf *out, const json_t *status)
{
    const char *name;
    json_t *count;
    bool any = false;

    strbuf_puts(out, "jobs      ");
    json_object_foreach(json_object_get(status, "jobs"), name, count)
    {
        if (json_integer_value(count) > 0) {
            strbuf_printf(out, "%s%" PRId64 " %s", any ? ", " : "",
                          (int64_t)json_integer_value(count), name);
            any = true;
        }
    }
    strbuf_puts(out, any ? "\n" : "none\n");
}

static void add_oldest(struct strbuf *out, const json_t *status)
{
    const json_t *oldest = json_object_get(status, "oldest");
    char waited[32];

    if (json_is_object(oldest)) {
        age(number(oldest, "age_s"), waited);
        strbuf_printf(out, "oldest    in %s for %s\n", text(oldest, "state"), waited);
    }
}

static void add_queues(struct strbuf *out, const json_t *status)
{
    json_t *queue;
    size_t i;

    json_array_foreach(json_object_get(status, "queues"), i, queue)
    {
        const char *seen = text(queue, "last_message");

        strbuf_printf(
            out,
            "%s %s: %" PRId64 " held, %" PRId64 " received, %" PRId64 " deleted, last at %.19s",
            i == 0 ? "queues   " : "         ", text(queue, "url"), number(queue, "held"),
            number(queue, "received"), number(queue, "deleted"), seen[0] != '\0' ? seen : "-");
        if (number(queue, "lost") > 0) {
            strbuf_printf(out, ", %" PRId64 " leases lost", number(queue, "lost"));
        }
        if (number(queue, "unread") > 0) {
            strbuf_printf(out, ", %" PRId64 " not readable", number(queue, "unread"));
        }
        if (json_is_string(json_object_get(queue, "error"))) {
            strbuf_printf(out, "; %s", text(queue, "error"));
        }
        strbuf_putc(out, '\n');
    }
}

static void add_runs(struct strbuf *out, const json_t *status)
{
    json_t *run;
    size_t i;

    json_array_foreach(json_object_get(status, "runs"), i, run)
    {
        const char *id = text(run, "id");

        strbuf_printf(out, "%s %s %s '%s'%s%s %s since %.19s, %" PRId64 " objects\n",
                      i == 0 ? "runs     " : "         ", text(run, "engine"), text(run, "kind"),
                      text(run, "name"), id[0] != '\0' ? " " : "", id, text(run, "state"),
                      text(run, "since"), number(run, "objects"));
    }
}

static void add_errors(struct strbuf *out, const json_t *status)
{
    const json_t *error = json_object_get(status, "error");
    json_t *job;
    size_t i;

    if (json_is_object(error)) {
        strbuf_printf(out, "error     %s: %s\n", text(error, "time"), text(error, "text"));
    }
    json_array_foreach(json_object_get(status, "last_errors"), i, job)
    {
        strbuf_printf(out, "%s %s job %" PRId64 " %s %s: %s\n", i == 0 ? "failures " : "         ",
                      text(job, "at"), number(job, "job"), text(job, "to"), text(job, "key"),
                      text(job, "reason"));
    }
}

/** The look as text; lines end in newlines, the rest is not clean yet. */
static void add_look(struct strbuf *out, const json_t *status)
{
    const json_t *memory = json_object_get(status, "memory");
    const json_t *workers = json_object_get(status, "workers");
    char up[32], limit[24], granted[24], waiting[24];

    age(number(status, "uptime_s"), up);
    strbuf_printf(
        out, "sevird    %s, %s%s%s, up %s, pid %" PRId64 "\n", text(status, "version"),
        text(status, "phase"), json_is_true(json_object_get(status, "paused")) ? ", paused" : "",
        json_is_true(json_object_get(status, "idle")) ? ", idle" : "", up, number(status, "pid"));
    strbuf_printf(out, "stores    %s -> %s\n", text(status, "raw"), text(status, "processed"));
    add_jobs(out, status);
    strbuf_printf(out, "workers   %" PRId64 " of %" PRId64 " busy, %" PRId64 " tasks in line\n",
                  number(workers, "running"), number(workers, "width"), number(workers, "queued"));
    strbuf_printf(out, "memory    %s of %s granted, %s in line\n",
                  str_from_bytes((uint64_t)number(memory, "granted"), granted),
                  str_from_bytes((uint64_t)number(memory, "limit"), limit),
                  str_from_bytes((uint64_t)number(memory, "waiting"), waiting));
    add_oldest(out, status);
    if (number(status, "refused") > 0) {
        strbuf_printf(out, "refused   %" PRId64 " keys break a rule\n", number(status, "refused"));
    }
    add_queues(out, status);
    add_runs(out, status);
    if (json_is_string(json_object_get(status, "http"))) {
        strbuf_printf(out, "http      http://%s/\n", text(status, "http"));
    }
    add_errors(out, status);
}

static enum ctl_exit run_status(struct ctl *ctl, const struct ctl_args *args)
{
    scoped(strbuf_done) struct strbuf look = {0};
    json_t *status = NULL;
    const enum ctl_exit code =
        client_call(ctl, "GET", "/v1/status", NULL, CLIENT_PATIENCE_MS, &status);

    if (code != CTL_DONE) {
        return code;
    }
    if (ctl->json) {
        ctl_json(ctl, status);
    } else {
        add_look(&look, status);
        ctl_say(ctl, "%s", strbuf_text(&look));
    }
    json_decref(status);
    return CTL_DONE;
}

/* ---- top --------------------------------------------------------------------------------- */

static void add_rate(struct strbuf *out, const char *what, const json_t *now, const json_t *before,
                     const char *key, double seconds, bool bytes)
{
    const json_t *a = json_object_get(before, "totals"), *b = json_object_get(now, "totals");
    const double rate = seconds > 0 ? (json_number_value(json_object_get(b, key)) -
                                       json_number_value(json_object_get(a, key))) /
                                          seconds
                                    : 0;
    char amount[24];

    if (bytes) {
        strbuf_printf(out, "  %s %s/s", what,
                      str_from_bytes(rate > 0 ? (uint64_t)rate : 0, amount));
    } else {
        strbuf_printf(out, "  %s %.1f/s", what, rate);
    }
}

static void add_rates(struct strbuf *out, const json_t *now, const json_t *before, double seconds)
{
    strbuf_puts(out, "rates   ");
    add_rate(out, "jobs", now, before, "done", seconds, false);
    add_rate(out, "events", now, before, "events", seconds, false);
    add_rate(out, "frames", now, before, "frames", seconds, false);
    add_rate(out, "read", now, before, "fetch_bytes", seconds, true);
    add_rate(out, "written", now, before, "put_bytes", seconds, true);
    strbuf_putc(out, '\n');
}

/** Until the next look; true when the user typed 'q' (a line that begins with it). */
static bool wait_for_user(int64_t ms)
{
    struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
    char typed[64];

    if (isatty(STDIN_FILENO) != 1) {
        poll(NULL, 0, (int)ms);
        return false;
    }
    return poll(&in, 1, (int)ms) > 0 && read(STDIN_FILENO, typed, sizeof(typed)) > 0 &&
           typed[0] == 'q';
}

static enum ctl_exit run_top(struct ctl *ctl, const struct ctl_args *args)
{
    int64_t interval_ms, seen_ms = 0;
    uint64_t count;
    struct err err;
    json_t *before = NULL;
    enum ctl_exit code = CTL_DONE;

    if (ctl_time(args, "interval", 1000, &interval_ms, &err) != RC_OK ||
        ctl_number(args, "count", 1, UINT_MAX, UINT_MAX, &count, &err) != RC_OK) {
        return ctl_misuse("top", "%s", err.text);
    }
    interval_ms = interval_ms < 100 ? 100 : interval_ms > 3600000 ? 3600000 : interval_ms;
    for (uint64_t i = 0; i < count && code == CTL_DONE; i++) {
        scoped(strbuf_done) struct strbuf look = {0};
        json_t *status = NULL;

        if (i > 0 && wait_for_user(interval_ms)) {
            break;
        }
        code = client_call(ctl, "GET", "/v1/status", NULL, CLIENT_PATIENCE_MS, &status);
        if (code != CTL_DONE) {
            break;
        }
        const int64_t now_ms = now_mono_ms();
        if (ctl->json) {
            ctl_json(ctl, status);
        } else {
            add_look(&look, status);
            add_rates(&look, status, before,
                      before != NULL ? (double)(now_ms - seen_ms) / 1000 : 0);
            if (ctl->terminal) {
                ctl_write("\033[H\033[2J", 7);
            }
            ctl_say(ctl, "%s%s", strbuf_text(&look), ctl->terminal ? "" : "\n");
        }
        json_decref(before);
        before = status;
        seen_ms = now_ms;
        if (ferror(stdout) != 0) {
            break; /* nobody looks any more */
        }
    }
    json_decref(before);
    return code;
}

const struct ctl_command ctl_cmd_status = {
    .name = "status",
    .arguments = "",
    .summary = "one look: states, workers, memory, runs of Glue, the oldest job, the last failures",
    .run = run_status};

static const struct ctl_option top_options[] = {
    {"interval", 'i', "TIME", "time between looks (default: 1s)"},
    {"count", 'n', "N", "end after this many looks"},
    {NULL}};
const struct ctl_command ctl_cmd_top = {.name = "top",
                                        .arguments = "",
                                        .summary = "the same, live, with rates",
                                        .help =
                                            "Ends with Ctrl-C, or 'q' and Enter. Where standard "
                                            "output is no terminal, one look follows the other.",
                                        .options = top_options,
                                        .run = run_top};
