/** @file
 * /v1/history: the last hour. Counters are sampled here and start with the daemon; what was done,
 * and how long after its objects came, is asked of the journal, which also knows of the time
 * before. While nothing happens there are no samples, and nobody is woken to take them.
 */
#include <inttypes.h>

#include "daemon/job/job_events.h"
#include "daemon/job/job_queue.h"
#include "daemon/job/job_store.h"
#include "daemon/metrics.h"
#include "daemon/ops/ops_p.h"
#include "lib/base/mem.h"
#include "lib/base/now.h"

#define SAMPLE_MS 15000
#define SAMPLES 241 /**< An hour, and the one before it that the first difference needs. */
#define HOUR_MS 3600000

struct sample {
    int64_t at_ms;
    double done, events, frames, fetch_bytes, put_bytes;
    unsigned running;
    uint64_t granted, waiting;
};

struct ops_history {
    struct services *services;
    struct loop_timer *timer;
    struct job_events_listener *listener;
    bool sampling;
    struct sample samples[SAMPLES]; /**< A ring; `next` is the oldest when it is full. */
    unsigned count, next;
};

static double sum_of_types(const struct services *services, enum metric_id id)
{
    double sum = 0;

    for (unsigned i = 0; i < SEVIR_TYPE_COUNT; i++) {
        sum +=
            metric_value(services->metrics, id, METRIC_LABELS(sevir_type_name((enum sevir_type)i)));
    }
    return sum;
}

static struct sample sample_now(const struct services *services)
{
    const struct metric_registry *metrics = services->metrics;

    return (struct sample){
        .at_ms = now_wall_ms(),
        .done = metric_value(metrics, METRIC_TRANSITIONS, METRIC_LABELS("PUBLISHING", "DONE")),
        .events = sum_of_types(services, METRIC_EXTRACT_EVENTS),
        .frames = sum_of_types(services, METRIC_EXTRACT_FRAMES),
        .fetch_bytes = metric_value(metrics, METRIC_FETCH_BYTES, METRIC_LABELS("")),
        .put_bytes = metric_value(metrics, METRIC_PUT_BYTES, METRIC_LABELS("")),
        .running = work_running(services->work, WORK_CPU),
        .granted = budget_granted(services->budget),
        .waiting = budget_waiting(services->budget),
    };
}

static void take_sample(struct ops_history *history)
{
    history->samples[history->next] = sample_now(history->services);
    history->next = (history->next + 1) % SAMPLES;
    history->count = MIN_OF(history->count + 1, SAMPLES);
}

static void on_sample(void *arg)
{
    struct ops_history *history = arg;

    take_sample(history);
    history->sampling = !job_queue_idle(history->services->queue);
    if (history->sampling) {
        loop_timer_arm(history->timer, SAMPLE_MS);
    }
}

/** The first of them still finds what there was while nothing happened. */
static void on_event(const struct job_event_record *record, void *arg)
{
    struct ops_history *history = arg;

    (void)record;
    if (!history->sampling) {
        take_sample(history);
        history->sampling = true;
        loop_timer_arm(history->timer, SAMPLE_MS);
    }
}

struct ops_history *ops_history_start(struct services *services)
{
    struct ops_history *history = mem_new(struct ops_history);

    *history = (struct ops_history){.services = services};
    history->timer = loop_timer_new(services->loop, on_sample, history);
    take_sample(history);
    history->listener =
        job_events_listen(services->events, job_events_last(services->events), on_event, history);
    return history;
}

void ops_history_stop(struct ops_history *history)
{
    if (history != NULL) {
        job_events_unlisten(history->listener);
        loop_timer_free(history->timer);
        free(history);
    }
}

/* ---- the answer ---- */

struct past {
    struct ops_call *call;
    int64_t since_ms;
    struct strbuf minutes; /**< The read lane's until it is done. */
};

/** By the index of (state, entered_ms): what ended in the last hour, not what ever did. */
static enum rc read_minutes(struct db *db, void *arg, struct err *err)
{
    struct past *past = arg;
    struct db_stmt *q = db_prepare(
        db,
        "SELECT entered_ms / 60000 * 60000, sum(state = 'DONE'), sum(state = 'QUARANTINED'),"
        " avg(CASE WHEN state = 'DONE' AND event_ms > 0 THEN max(entered_ms - event_ms, 0) END),"
        " max(CASE WHEN state = 'DONE' AND event_ms > 0 THEN max(entered_ms - event_ms, 0) END)"
        " FROM jobs WHERE state IN ('DONE', 'QUARANTINED') AND entered_ms >= ?1 GROUP BY 1"
        " ORDER BY 1",
        err);

    if (q == NULL) {
        return err->rc;
    }
    db_bind_int(q, 1, past->since_ms);
    while (db_step(q, err)) {
        strbuf_puts(&past->minutes, past->minutes.len > 0 ? ",\n[" : "\n[");
        ops_time_json(&past->minutes, db_int(q, 0));
        strbuf_printf(&past->minutes, ",%" PRId64 ",%" PRId64, db_int(q, 1), db_int(q, 2));
        for (int column = 3; column <= 4; column++) {
            if (db_is_null(q, column)) {
                strbuf_puts(&past->minutes, ",null");
            } else {
                strbuf_printf(&past->minutes, ",%.3f", db_double(q, column) / 1000);
            }
        }
        strbuf_putc(&past->minutes, ']');
    }
    return db_failed(q) ? err->rc : RC_OK;
}

static void add_sample(struct strbuf *out, const struct sample *sample, bool first)
{
    strbuf_puts(out, first ? "\n[" : ",\n[");
    ops_time_json(out, sample->at_ms);
    strbuf_printf(out, ",%.0f,%.0f,%.0f,%.0f,%.0f,%u,%" PRIu64 ",%" PRIu64 "]", sample->done,
                  sample->events, sample->frames, sample->fetch_bytes, sample->put_bytes,
                  sample->running, sample->granted, sample->waiting);
}

static void add_samples(struct strbuf *out, const struct ops_history *history)
{
    const struct sample now = sample_now(history->services);
    bool first = true;

    for (unsigned left = history->count; left > 0; left--) {
        const unsigned at = (history->next + SAMPLES - left) % SAMPLES;
        const struct sample *after = left > 1 ? &history->samples[(at + 1) % SAMPLES] : &now;

        if (after->at_ms >= now.at_ms - HOUR_MS) { /* one before the hour, to begin with */
            add_sample(out, &history->samples[at], first);
            first = false;
        }
    }
    add_sample(out, &now, first); /* so that what happens is seen before it is sampled */
}

static void on_minutes(const struct err *err, void *arg)
{
    struct past *past = arg;
    scoped(strbuf_done) struct strbuf body = {0};

    if (err != NULL) {
        ops_problem_err(past->call, err);
    } else if (past->call->ops->history == NULL) {
        ops_problem(past->call, 503, "the daemon is stopping");
    } else {
        strbuf_puts(&body, "{\"samples\":{\"columns\":[\"at\",\"done\",\"events\",\"frames\","
                           "\"fetch_bytes\",\"put_bytes\",\"running\",\"granted\",\"waiting\"],"
                           "\"rows\":[");
        add_samples(&body, past->call->ops->history);
        strbuf_puts(&body, "]},\n\"minutes\":{\"columns\":[\"at\",\"done\",\"quarantined\","
                           "\"lag_mean_s\",\"lag_max_s\"],\"rows\":[");
        strbuf_puts(&body, strbuf_text(&past->minutes));
        strbuf_puts(&body, "]}}\n");
        ops_answer_json(past->call, &body);
    }
    strbuf_done(&past->minutes);
    free(past);
}

void ops_get_history(struct ops_call *call)
{
    struct past *past = mem_new(struct past);

    *past = (struct past){.call = call, .since_ms = now_wall_ms() - HOUR_MS};
    job_store_read(call->ops->services->jobs, read_minutes, on_minutes, past);
}
