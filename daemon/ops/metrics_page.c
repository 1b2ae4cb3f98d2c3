/** @file
 * /metrics: gauges are brought up to date, then everything is written in the format that was asked
 * for.
 */
#include "daemon/job/job_store.h"
#include "daemon/metrics.h"
#include "daemon/ops/ops_p.h"
#include "lib/base/now.h"

#define OPENMETRICS "application/openmetrics-text"

/** Whether the Accept header takes OpenMetrics at all: who names it prefers it, but for ";q=0". */
static bool wants_openmetrics(const char *accept)
{
    const char *found = accept != NULL ? strstr(accept, OPENMETRICS) : NULL;
    double q;

    if (found == NULL) {
        return false;
    }
    const char *end = found + strcspn(found, ",");
    const char *weight = strstr(found, "q=");
    if (weight == NULL || weight > end) {
        return true;
    }
    scoped(free) char *digits = str_dup_n(weight + 2, strspn(weight + 2, "0123456789."));
    return !str_to_double(digits, &q) || q > 0;
}

static void set_gauges(struct ops *ops, const int64_t oldest_ms[JOB_STATE_COUNT])
{
    struct services *services = ops->services;
    struct metric_registry *metrics = services->metrics;
    const int64_t now_ms = now_wall_ms(), busy_us = work_busy_us(services->work, WORK_CPU);

    for (unsigned i = 0; i < JOB_STATE_COUNT; i++) {
        const char *name = job_state_name((enum job_state)i);

        metric_set(metrics, METRIC_JOBS, METRIC_LABELS(name),
                   (double)job_store_count(services->jobs, (enum job_state)i));
        if (job_state_kind((enum job_state)i) != JOB_KIND_END) {
            const int64_t age_ms = oldest_ms[i] != 0 ? now_ms - oldest_ms[i] : 0;
            metric_set(metrics, METRIC_OLDEST_JOB_AGE, METRIC_LABELS(name),
                       age_ms > 0 ? (double)age_ms / 1000 : 0);
        }
    }
    metric_set(metrics, METRIC_BUILD_INFO, METRIC_LABELS(SEVIRD_VERSION), 1);
    metric_set(metrics, METRIC_MEMORY_BUDGET, METRIC_LABELS("limit"),
               (double)budget_limit(services->budget));
    metric_set(metrics, METRIC_MEMORY_BUDGET, METRIC_LABELS("granted"),
               (double)budget_granted(services->budget));
    metric_set(metrics, METRIC_MEMORY_BUDGET, METRIC_LABELS("waiting"),
               (double)budget_waiting(services->budget));
    metric_add(metrics, METRIC_WORKER_BUSY, METRIC_LABELS(""),
               (double)(busy_us - ops->busy_us) / 1e6);
    ops->busy_us = busy_us;
}

static void on_oldest(const int64_t oldest_ms[JOB_STATE_COUNT], void *arg)
{
    struct ops_call *call = arg;
    const bool openmetrics = wants_openmetrics(http_request_header(call->request, "Accept"));
    scoped(strbuf_done) struct strbuf body = {0};

    set_gauges(call->ops, oldest_ms);
    metric_write(call->ops->services->metrics, openmetrics, &body);
    ops_answer(call, 200,
               openmetrics ? OPENMETRICS "; version=1.0.0; charset=utf-8"
                           : "text/plain; version=0.0.4; charset=utf-8",
               &body);
}

void ops_metrics(struct ops_call *call)
{
    job_store_oldest(call->ops->services->jobs, on_oldest, call);
}
