/** @file
 * /v1/status: one look. What needs the database (the oldest job, the last failures) is read on its
 * lane; the rest is in memory.
 */
#include <inttypes.h>
#include <unistd.h>

#include "daemon/job/job_remote.h"
#include "daemon/job/job_store.h"
#include "daemon/metrics.h"
#include "daemon/ops/ops_p.h"
#include "lib/base/mem.h"
#include "lib/base/now.h"

#define FAILURES_SHOWN 5

struct look {
    struct ops_call *call;
    struct strbuf failures; /**< The read lane's until it is done. */
    int64_t oldest_ms[JOB_STATE_COUNT];
};

static void look_free(struct look *look)
{
    strbuf_done(&look->failures);
    free(look);
}

/** Of each state by its index, so that no table is scanned; the newest few of both. */
static enum rc read_failures(struct db *db, void *arg, struct err *err)
{
    struct look *look = arg;
    struct db_stmt *q =
        db_prepare(db,
                   "SELECT id, key, state, entered_ms, reason, class FROM ("
                   " SELECT * FROM (SELECT id, key, state, entered_ms, reason, class FROM jobs"
                   "   WHERE state = 'QUARANTINED' ORDER BY entered_ms DESC LIMIT ?1)"
                   " UNION ALL"
                   " SELECT * FROM (SELECT id, key, state, entered_ms, reason, class FROM jobs"
                   "   WHERE state = 'BACKOFF' ORDER BY entered_ms DESC LIMIT ?1))"
                   " ORDER BY entered_ms DESC LIMIT ?1",
                   err);

    if (q == NULL) {
        return err->rc;
    }
    db_bind_int(q, 1, FAILURES_SHOWN);
    while (db_step(q, err)) {
        strbuf_printf(&look->failures,
                      "%s{\"job\":%" PRId64 ",\"key\":", look->failures.len > 0 ? "," : "",
                      db_int(q, 0));
        strbuf_json(&look->failures, db_text(q, 1));
        strbuf_printf(&look->failures, ",\"to\":\"%s\",\"at\":", db_text(q, 2));
        ops_time_json(&look->failures, db_int(q, 3));
        strbuf_puts(&look->failures, ",\"reason\":");
        strbuf_json(&look->failures, db_text(q, 4));
        strbuf_puts(&look->failures, ",\"class\":");
        strbuf_json(&look->failures, db_text(q, 5));
        strbuf_putc(&look->failures, '}');
    }
    return db_failed(q) ? err->rc : RC_OK;
}

static void add_life(struct strbuf *out, const struct ops *ops, const struct daemon_status *status)
{
    strbuf_printf(out, "{\"version\":\"%s\",\"pid\":%d,\"phase\":\"%s\",\"paused\":%s,",
                  SEVIRD_VERSION, (int)getpid(), daemon_phase_name(status->phase),
                  status->paused ? "true" : "false");
    strbuf_printf(out, "\"idle\":%s,\"listed\":%s,\"started\":", status->idle ? "true" : "false",
                  status->listed ? "true" : "false");
    ops_time_json(out, status->started_ms);
    strbuf_printf(out, ",\"uptime_s\":%" PRId64 ",\"reloaded\":",
                  MAX_OF((now_wall_ms() - status->started_ms) / 1000, INT64_C(0)));
    ops_time_json(out, status->reloaded_ms);
    strbuf_puts(out, ",\"config\":");
    strbuf_json(out, status->config_path);
    strbuf_puts(out, ",\"raw\":");
    strbuf_json(out, ops->services->conf->raw_uri);
    strbuf_puts(out, ",\"processed\":");
    strbuf_json(out, ops->services->conf->processed_uri);
    strbuf_puts(out, ",\"http\":");
    if (ops->http_address[0] != '\0') {
        strbuf_json(out, ops->http_address);
    } else {
        strbuf_puts(out, "null");
    }
}

static void add_jobs(struct strbuf *out, const struct daemon_status *status)
{
    strbuf_puts(out, ",\"jobs\":{");
    for (unsigned i = 0; i < JOB_STATE_COUNT; i++) {
        strbuf_printf(out, "%s\"%s\":%" PRIu64, i > 0 ? "," : "", job_state_name((enum job_state)i),
                      status->jobs[i]);
    }
    strbuf_printf(out,
                  "},\"working\":%u,\"quarantined_since_start\":%" PRIu64 ",\"refused\":%" PRIu64
                  ",\"recovered\":%u",
                  status->working, status->quarantined_since_start, status->refused,
                  status->recovered);
}

/** The job that has been longest in a state that it should leave. */
static void add_oldest(struct strbuf *out, const int64_t oldest_ms[JOB_STATE_COUNT])
{
    unsigned oldest = JOB_STATE_COUNT;

    for (unsigned i = 0; i < JOB_STATE_COUNT; i++) {
        if (job_state_kind((enum job_state)i) != JOB_KIND_END && oldest_ms[i] != 0 &&
            (oldest == JOB_STATE_COUNT || oldest_ms[i] < oldest_ms[oldest])) {
            oldest = i;
        }
    }
    if (oldest == JOB_STATE_COUNT) {
        strbuf_puts(out, ",\"oldest\":null");
        return;
    }
    strbuf_printf(out, ",\"oldest\":{\"state\":\"%s\",\"age_s\":%" PRId64 "}",
                  job_state_name((enum job_state)oldest),
                  MAX_OF((now_wall_ms() - oldest_ms[oldest]) / 1000, INT64_C(0)));
}

static void add_resources(struct strbuf *out, const struct services *services)
{
    strbuf_printf(out, ",\"workers\":{\"width\":%u,\"running\":%u,\"queued\":%u}",
                  work_width(services->work, WORK_CPU), work_running(services->work, WORK_CPU),
                  work_queued(services->work, WORK_CPU));
    strbuf_printf(
        out, ",\"memory\":{\"limit\":%" PRIu64 ",\"granted\":%" PRIu64 ",\"waiting\":%" PRIu64 "}",
        budget_limit(services->budget), budget_granted(services->budget),
        budget_waiting(services->budget));
}

static double sum_of(const struct services *services, enum metric_id id)
{
    double sum = 0;

    for (unsigned i = 0; i < SEVIR_TYPE_COUNT; i++) {
        sum +=
            metric_value(services->metrics, id, METRIC_LABELS(sevir_type_name((enum sevir_type)i)));
    }
    return sum;
}

/** What rates are made of: counts since the start. */
static void add_totals(struct strbuf *out, const struct services *services)
{
    const struct metric_registry *metrics = services->metrics;

    strbuf_printf(out, ",\"totals\":{\"done\":%.0f,\"events\":%.0f,\"frames\":%.0f",
                  metric_value(metrics, METRIC_TRANSITIONS, METRIC_LABELS("PUBLISHING", "DONE")),
                  sum_of(services, METRIC_EXTRACT_EVENTS), sum_of(services, METRIC_EXTRACT_FRAMES));
    strbuf_printf(out, ",\"fetch_bytes\":%.0f,\"put_bytes\":%.0f,\"put_objects\":%.0f}",
                  metric_value(metrics, METRIC_FETCH_BYTES, METRIC_LABELS("")),
                  metric_value(metrics, METRIC_PUT_BYTES, METRIC_LABELS("")),
                  metric_value(metrics, METRIC_PUT_OBJECTS, METRIC_LABELS("")));
}

static void add_queues(struct strbuf *out, const struct daemon *daemon)
{
    struct source_queue queue;

    strbuf_puts(out, ",\"queues\":[");
    for (unsigned i = 0; daemon_queue(daemon, i, &queue); i++) {
        strbuf_puts(out, i > 0 ? ",{\"url\":" : "{\"url\":");
        strbuf_json(out, queue.url);
        strbuf_printf(out,
                      ",\"held\":%u,\"received\":%" PRIu64 ",\"deleted\":%" PRIu64
                      ",\"lost\":%" PRIu64 ",\"unread\":%" PRIu64 ",\"ignored\":%" PRIu64
                      ",\"tests\":%" PRIu64 ",\"last_receive\":",
                      queue.held, queue.received, queue.deleted, queue.lost, queue.unread,
                      queue.ignored, queue.tests);
        ops_time_json(out, queue.receive_ms);
        strbuf_puts(out, ",\"last_message\":");
        ops_time_json(out, queue.message_ms);
        strbuf_puts(out, ",\"error\":");
        if (queue.error[0] != '\0') {
            strbuf_json(out, queue.error);
        } else {
            strbuf_puts(out, "null");
        }
        strbuf_puts(out, ",\"error_since\":");
        ops_time_json(out, queue.error_ms);
        strbuf_putc(out, '}');
    }
    strbuf_putc(out, ']');
}

static void add_text(struct strbuf *out, const char *name, const char *value)
{
    strbuf_printf(out, "\"%s\":", name);
    strbuf_json(out, value);
    strbuf_putc(out, ',');
}

/** Of the managed engines. */
static void add_runs(struct strbuf *out, const struct services *services)
{
    struct job_remote *remote = services->remote;
    struct job_remote_run run;

    strbuf_puts(out, ",\"runs\":[");
    for (unsigned i = 0; remote != NULL && remote->run(remote, i, &run); i++) {
        strbuf_puts(out, i > 0 ? ",{" : "{");
        add_text(out, "engine", run.engine);
        add_text(out, "kind", run.kind);
        add_text(out, "name", run.name);
        add_text(out, "id", run.id);
        add_text(out, "state", run.state);
        strbuf_puts(out, "\"since\":");
        ops_time_json(out, run.since_ms);
        strbuf_printf(out, ",\"objects\":%u}", run.objects);
    }
    strbuf_putc(out, ']');
}

static void add_error(struct strbuf *out, const struct daemon_status *status)
{
    if (status->error == NULL || status->error[0] == '\0') {
        strbuf_puts(out, ",\"error\":null");
        return;
    }
    strbuf_puts(out, ",\"error\":{\"text\":");
    strbuf_json(out, status->error);
    strbuf_puts(out, ",\"time\":");
    ops_time_json(out, status->error_ms);
    strbuf_putc(out, '}');
}

static void on_failures(const struct err *err, void *arg)
{
    struct look *look = arg;
    struct ops_call *call = look->call;
    struct daemon_status status;
    scoped(strbuf_done) struct strbuf body = {0};

    if (err != NULL) {
        look_free(look);
        ops_problem_err(call, err);
        return;
    }
    daemon_status(call->ops->daemon, &status);
    add_life(&body, call->ops, &status);
    add_jobs(&body, &status);
    add_oldest(&body, look->oldest_ms);
    add_resources(&body, call->ops->services);
    add_totals(&body, call->ops->services);
    add_queues(&body, call->ops->daemon);
    add_runs(&body, call->ops->services);
    add_error(&body, &status);
    strbuf_printf(&body, ",\"last_errors\":[%s]}\n", strbuf_text(&look->failures));
    look_free(look);
    ops_answer_json(call, &body);
}

static void on_oldest(const int64_t oldest_ms[JOB_STATE_COUNT], void *arg)
{
    struct look *look = arg;

    memcpy(look->oldest_ms, oldest_ms, sizeof(look->oldest_ms));
    job_store_read(look->call->ops->services->jobs, read_failures, on_failures, look);
}

void ops_get_status(struct ops_call *call)
{
    struct look *look = mem_new(struct look);

    look->call = call;
    job_store_oldest(call->ops->services->jobs, on_oldest, look);
}

void ops_get_config(struct ops_call *call)
{
    scoped(strbuf_done) struct strbuf body = {0};

    conf_print(call->ops->services->conf, &body);
    ops_answer_json(call, &body);
}
