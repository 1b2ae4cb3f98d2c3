/** @file
 * Key metrics to CloudWatch, for those who live there: each cloudwatch.interval one PutMetricData.
 *
 * Nothing waits for it. Counts are of what has happened since the last push that CloudWatch took,
 * so one that was lost is made up for by the next; while one is under way no other begins.
 */
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "daemon/daemon_p.h"
#include "daemon/job/job_queue.h"
#include "daemon/job/job_store.h"
#include "daemon/metrics.h"
#include "lib/aws/aws.h"
#include "lib/base/arena.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/now.h"

/** COUNT: what was added since the last push; LEVEL: what is. */
#define PUSHED_MAP(COUNT, LEVEL)                 \
    COUNT(DONE, "Done", "Count")                 \
    COUNT(QUARANTINED, "Quarantined", "Count")   \
    COUNT(RETRIES, "Retries", "Count")           \
    COUNT(FETCHED, "FetchedBytes", "Bytes")      \
    COUNT(WRITTEN, "WrittenBytes", "Bytes")      \
    COUNT(LEASES_LOST, "LeasesLost", "Count")    \
    COUNT(MISSED, "MissedEvents", "Count")       \
    LEVEL(QUEUED, "Queued", "Count")             \
    LEVEL(WAITING, "WaitingForCatalog", "Count") \
    LEVEL(WORKING, "Working", "Count")           \
    LEVEL(HELD, "HeldMessages", "Count")

enum pushed {
#define X(id, ...) PUSHED_##id,
    PUSHED_MAP(X, X)
#undef X
        PUSHED_COUNT
};

static const struct {
    const char *name, *unit;
    bool is_count;
} pushed[] = {
#define COUNT(id, name, unit) [PUSHED_##id] = {name, unit, true},
#define LEVEL(id, name, unit) [PUSHED_##id] = {name, unit, false},
    PUSHED_MAP(COUNT, LEVEL)
#undef COUNT
#undef LEVEL
};

#define PAIRS_EACH 6

struct daemon_cloudwatch {
    struct services *services;
    struct loop_timer *timer;
    char instance[HOST_NAME_MAX + 1];
    double taken[PUSHED_COUNT];   /**< As CloudWatch has them. */
    double offered[PUSHED_COUNT]; /**< In the push under way. */
    bool busy, complained;
};

static double value_of(const struct services *services, enum metric_id id)
{
    return metric_value(services->metrics, id, METRIC_LABELS(""));
}

static void measure(const struct services *services, double ret_values[PUSHED_COUNT])
{
    const struct job_store *jobs = services->jobs;

    ret_values[PUSHED_DONE] = (double)job_store_entered(jobs, JOB_DONE);
    ret_values[PUSHED_QUARANTINED] = (double)job_store_entered(jobs, JOB_QUARANTINED);
    ret_values[PUSHED_RETRIES] = (double)job_store_entered(jobs, JOB_BACKOFF);
    ret_values[PUSHED_FETCHED] = value_of(services, METRIC_FETCH_BYTES);
    ret_values[PUSHED_WRITTEN] = value_of(services, METRIC_PUT_BYTES);
    ret_values[PUSHED_LEASES_LOST] = value_of(services, METRIC_SQS_LEASE_LOST);
    ret_values[PUSHED_MISSED] = value_of(services, METRIC_RECONCILE_MISSING);
    ret_values[PUSHED_QUEUED] = (double)job_store_count(jobs, JOB_QUEUED);
    ret_values[PUSHED_WAITING] = (double)job_store_count(jobs, JOB_WAITING);
    ret_values[PUSHED_WORKING] = job_queue_working(services->queue);
    ret_values[PUSHED_HELD] = value_of(services, METRIC_SQS_HELD);
}

static void on_pushed(const struct aws_answer *answer, const struct err *err, void *arg)
{
    struct daemon_cloudwatch *cloudwatch = arg;

    (void)answer;
    cloudwatch->busy = false;
    if (err == NULL) {
        memcpy(cloudwatch->taken, cloudwatch->offered, sizeof(cloudwatch->taken));
        cloudwatch->complained = false;
    } else if (!cloudwatch->complained) {
        cloudwatch->complained = true;
        log_warn(LOG_DAEMON, "CloudWatch takes no metrics (they are offered again): %s", err->text);
    }
}

static unsigned add_datum(struct daemon_cloudwatch *cloudwatch, struct arena *arena, unsigned i,
                          const char *time, struct sigv4_pair *pairs)
{
    const double value = cloudwatch->offered[i] - (pushed[i].is_count ? cloudwatch->taken[i] : 0);
    const char *member = arena_printf(arena, "MetricData.member.%u.", i + 1);
    const struct sigv4_pair datum[PAIRS_EACH] = {
        {arena_printf(arena, "%sMetricName", member), pushed[i].name},
        {arena_printf(arena, "%sUnit", member), pushed[i].unit},
        {arena_printf(arena, "%sTimestamp", member), time},
        {arena_printf(arena, "%sValue", member), arena_printf(arena, "%.17g", value)},
        {arena_printf(arena, "%sDimensions.member.1.Name", member), "Instance"},
        {arena_printf(arena, "%sDimensions.member.1.Value", member), cloudwatch->instance},
    };

    memcpy(pairs, datum, sizeof(datum));
    return PAIRS_EACH;
}

static void push(struct daemon_cloudwatch *cloudwatch)
{
    scoped(arena_free) struct arena *arena = arena_new(); /* pairs are copied */
    struct services *services = cloudwatch->services;
    struct sigv4_pair pairs[1 + PUSHED_COUNT * PAIRS_EACH];
    unsigned count = 0;
    char time[NOW_TEXT];

    now_format_iso_ms(now_wall_ms(), time);
    measure(services, cloudwatch->offered);
    pairs[count++] = (struct sigv4_pair){"Namespace", services->conf->cloudwatch_namespace};
    for (unsigned i = 0; i < PUSHED_COUNT; i++) {
        count += add_datum(cloudwatch, arena, i, time, &pairs[count]);
    }
    cloudwatch->busy = true;
    aws_send_query(services->aws, "monitoring", "2010-08-01", "PutMetricData", pairs, count,
                   on_pushed, cloudwatch);
}

static void on_timer(void *arg)
{
    struct daemon_cloudwatch *cloudwatch = arg;

    loop_timer_arm(cloudwatch->timer, cloudwatch->services->conf->cloudwatch_interval_ms);
    if (!cloudwatch->busy) {
        push(cloudwatch);
    }
}

struct daemon_cloudwatch *daemon_cloudwatch_start(struct services *services)
{
    const struct conf *conf = services->conf;

    if (!conf->cloudwatch_push) {
        return NULL;
    }
    struct daemon_cloudwatch *cloudwatch = mem_new(struct daemon_cloudwatch);

    cloudwatch->services = services;
    if (conf->cloudwatch_instance != NULL) {
        snprintf(cloudwatch->instance, sizeof(cloudwatch->instance), "%s",
                 conf->cloudwatch_instance);
    } else if (gethostname(cloudwatch->instance, sizeof(cloudwatch->instance) - 1) != 0 ||
               cloudwatch->instance[0] == '\0') {
        snprintf(cloudwatch->instance, sizeof(cloudwatch->instance), "unknown");
    }
    cloudwatch->timer = loop_timer_new(services->loop, on_timer, cloudwatch);
    loop_timer_arm(cloudwatch->timer, conf->cloudwatch_interval_ms);
    return cloudwatch;
}

void daemon_cloudwatch_quiet(struct daemon_cloudwatch *cloudwatch)
{
    if (cloudwatch != NULL) {
        loop_timer_disarm(cloudwatch->timer);
    }
}

void daemon_cloudwatch_stop(struct daemon_cloudwatch *cloudwatch)
{
    if (cloudwatch != NULL) {
        loop_timer_free(cloudwatch->timer);
        free(cloudwatch);
    }
}
