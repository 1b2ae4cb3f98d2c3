/** @file
 * When a run begins: jobs are gathered until none has come for a while, the first has waited long
 * enough, or there are enough of them, and while no more runs are under way than may be. What comes
 * while a crawl is under way is in the next one: a hundred objects are one more crawl.
 */
#include "daemon/glue/glue_p.h"
#include "daemon/metrics.h"
#include "lib/base/mem.h"
#include "lib/base/now.h"

static bool gathers(const struct glue_wait *wait)
{
    return wait->run == NULL && !wait->answering;
}

unsigned glue_gathered(const struct glue_lane *lane)
{
    unsigned count = 0;

    for (const struct glue_wait *wait = lane->waits; wait != NULL; wait = wait->next) {
        count += gathers(wait);
    }
    return count;
}

/** How long the next run waits for more; 0: it is due, negative: nobody waits for it. */
static int64_t due_in_ms(const struct glue_lane *lane)
{
    const struct conf *conf = lane->engine->services->conf;
    const int64_t now_ms = now_mono_ms();
    int64_t first_ms = 0, last_ms = 0;
    unsigned count = 0;

    for (const struct glue_wait *wait = lane->waits; wait != NULL; wait = wait->next) {
        if (gathers(wait)) {
            first_ms = count == 0 ? wait->joined_ms : first_ms;
            last_ms = wait->joined_ms;
            count++;
        }
    }
    if (count == 0) {
        return -1;
    }
    if (count >= conf->glue_max_objects) {
        return 0;
    }
    const int64_t due_ms = MIN_OF(last_ms + conf->glue_quiet_ms, first_ms + conf->glue_max_wait_ms);

    return MAX_OF(due_ms - now_ms, 0);
}

static bool may_begin(const struct glue_lane *lane)
{
    const unsigned most =
        lane->kind == GLUE_CRAWLS ? 1 : lane->engine->services->conf->glue_max_concurrent_runs;
    unsigned open = 0;

    for (const struct engine_run *run = lane->runs; run != NULL; run = run->next) {
        open += engine_run_is_open(run);
    }
    return lane->engine->loaded && !lane->engine->stopping && open < most;
}

void glue_gather_into(struct engine_run *run)
{
    const unsigned most = run->lane->engine->services->conf->glue_max_objects;

    for (struct glue_wait *wait = run->lane->waits; wait != NULL && run->job_count < most;
         wait = wait->next) {
        if (gathers(wait)) {
            wait->run = run;
            engine_run_add_job(run, wait->job);
        }
    }
}

static void begin(struct glue_lane *lane)
{
    const struct conf *conf = lane->engine->services->conf;
    struct engine_run *run =
        engine_run_new(lane, lane->kind == GLUE_CRAWLS ? conf->glue_crawler : conf->glue_job);

    run->step = lane->kind == GLUE_CRAWLS ? RUN_READY : RUN_RECORD;
    glue_gather_into(run);
    engine_run_go(run);
}

void glue_gather(struct glue_lane *lane)
{
    struct metric_registry *metrics = lane->engine->services->metrics;
    unsigned open = 0;
    int64_t delay_ms = -1;

    while (may_begin(lane) && (delay_ms = due_in_ms(lane)) == 0) {
        begin(lane);
    }
    if (may_begin(lane) && delay_ms > 0) {
        loop_timer_arm(lane->timer, delay_ms);
    } else {
        loop_timer_disarm(lane->timer);
    }
    for (const struct engine_run *run = lane->runs; run != NULL; run = run->next) {
        open += engine_run_is_open(run);
    }
    metric_set(metrics, METRIC_GLUE_OPEN_RUNS, METRIC_LABELS(lane->kind_name), open);
    metric_set(metrics, METRIC_GLUE_GATHERED, METRIC_LABELS(lane->kind_name), glue_gathered(lane));
}
