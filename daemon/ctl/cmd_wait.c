/** @file
 * wait: until nothing is queued or working.
 *
 * The event stream says when to look again; the look itself is /v1/status, so that nothing is
 * missed when a stream breaks.
 */
#include <inttypes.h>

#include "daemon/ctl/client.h"
#include "lib/base/now.h"

#define LOOK_MS 1000      /**< Without an event. */
#define LOOK_LEAST_MS 100 /**< With as many as there may be. */

struct waiting {
    struct ctl *ctl;
    struct ctl_progress *bar;
    json_t *status;
    int64_t deadline_ms, looked_ms; /**< Monotonic; deadline 0: none. */
    bool news, idle;
    uint64_t first_ended;
    enum ctl_exit code;
};

static uint64_t jobs_in(const json_t *status, const char *state)
{
    return (uint64_t)json_integer_value(json_object_get(json_object_get(status, "jobs"), state));
}

/** Jobs that have come to an end, and those on the way; WAITING is neither. */
static void count(const json_t *status, uint64_t *ret_ended, uint64_t *ret_open)
{
    static const char *const open[] = {"QUEUED",    "CRAWLING",   "CRAWLED",  "EXTRACTING",
                                       "EXTRACTED", "PUBLISHING", "RETIRING", "BACKOFF"};
    const char *name;
    json_t *value;
    uint64_t all = 0;

    *ret_open = 0;
    json_object_foreach(json_object_get(status, "jobs"), name, value)
    {
        all += (uint64_t)json_integer_value(value);
    }
    for (size_t i = 0; i < sizeof(open) / sizeof(open[0]); i++) {
        *ret_open += jobs_in(status, open[i]);
    }
    *ret_ended = all - *ret_open - jobs_in(status, "WAITING");
}

static bool look(struct waiting *waiting)
{
    json_t *status = NULL;
    uint64_t ended, open;

    waiting->news = false;
    waiting->looked_ms = now_mono_ms();
    waiting->code =
        client_call(waiting->ctl, "GET", "/v1/status", NULL, CLIENT_PATIENCE_MS, &status);
    if (waiting->code != CTL_DONE) {
        return false;
    }
    count(status, &ended, &open);
    if (waiting->status == NULL) {
        waiting->first_ended = ended;
    }
    json_decref(waiting->status);
    waiting->status = status;
    waiting->idle = json_is_true(json_object_get(status, "idle"));

    const uint64_t done = ended > waiting->first_ended ? ended - waiting->first_ended : 0;
    ctl_progress_set(waiting->bar, "jobs", done, done + open);
    return !waiting->idle;
}

static bool on_event(const char *kind, const char *json, void *arg)
{
    struct waiting *waiting = arg;

    waiting->news = true;
    return true;
}

static bool on_tick(void *arg)
{
    struct waiting *waiting = arg;
    const int64_t now_ms = now_mono_ms(), since_ms = now_ms - waiting->looked_ms;

    if (waiting->deadline_ms != 0 && now_ms >= waiting->deadline_ms) {
        waiting->code = CTL_TIMED_OUT;
        return false;
    }
    if (since_ms >= LOOK_MS || (waiting->news && since_ms >= LOOK_LEAST_MS)) {
        return look(waiting);
    }
    return true;
}

/** What was quarantined since the daemon's start and still is: an operator who retried it or gave
 * it up has dealt with it. */
static uint64_t quarantined(const json_t *status)
{
    const uint64_t since =
        (uint64_t)json_integer_value(json_object_get(status, "quarantined_since_start"));
    const uint64_t now = jobs_in(status, "QUARANTINED");

    return since < now ? since : now;
}

static enum ctl_exit verdict(struct waiting *waiting)
{
    const uint64_t bad = quarantined(waiting->status);
    const uint64_t held = jobs_in(waiting->status, "WAITING");

    if (waiting->ctl->json && waiting->status != NULL) {
        ctl_json(waiting->ctl, waiting->status);
    }
    if (waiting->code == CTL_TIMED_OUT) {
        ctl_fail("timed out; 'sevirctl status' shows what is still to do");
        return CTL_TIMED_OUT;
    }
    if (waiting->code != CTL_DONE) {
        return waiting->code;
    }
    if (held > 0) {
        ctl_warn(held == 1 ? "%" PRIu64 " job waits for its rows of the catalog"
                           : "%" PRIu64 " jobs wait for their rows of the catalog",
                 held);
    }
    if (bad > 0) {
        return ctl_fail("%" PRIu64 " %s quarantined; see 'sevirctl jobs --state QUARANTINED'", bad,
                        bad == 1 ? "job was" : "jobs were");
    }
    const uint64_t done = jobs_in(waiting->status, "DONE");
    ctl_say(waiting->ctl, "nothing is queued or working; %" PRIu64 " %s done\n", done,
            done == 1 ? "job is" : "jobs are");
    return CTL_DONE;
}

static enum ctl_exit run_wait(struct ctl *ctl, const struct ctl_args *args)
{
    struct waiting waiting = {.ctl = ctl};
    int64_t timeout_ms;
    struct err err;

    if (ctl_time(args, "timeout", -1, &timeout_ms, &err) != RC_OK) {
        return ctl_misuse("wait", "%s", err.text);
    }
    waiting.deadline_ms = timeout_ms >= 0 ? now_mono_ms() + timeout_ms : 0;
    waiting.bar = ctl_progress_new(ctl, CTL_COUNT);
    bool going = look(&waiting);

    while (going) {
        bool ended = false;
        const enum ctl_exit code =
            client_events(ctl, "/v1/events", on_event, on_tick, &waiting, &ended);

        waiting.code = code != CTL_DONE ? code : waiting.code;
        going = code == CTL_DONE && ended && look(&waiting); /* broken, not gone: once more */
    }
    ctl_progress_free(waiting.bar);
    const enum ctl_exit code = verdict(&waiting);
    json_decref(waiting.status);
    return code;
}

static const struct ctl_option wait_options[] = {
    {"timeout", 0, "S", "give up after this many seconds, or 5m (exit code 4)"}, {NULL}};
const struct ctl_command ctl_cmd_wait = {.name = "wait",
                                         .arguments = "",
                                         .summary = "until nothing is queued or working",
                                         .help =
                                             "Exit code 1 when something was quarantined since the "
                                             "daemon's start and still is; what waits for the\n"
                                             "catalog does not count as work.",
                                         .options = wait_options,
                                         .run = run_wait};
