/** @file
 * What is started in which order, and its mirror.
 *
 * Everything that can fail is made before the loop turns for the first time, so that a failure is
 * one line and a plain way back; what starts afterwards (the queue, the source) reports through the
 * log and the status.
 */
#include "daemon/daemon.h"

#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "daemon/catalog/catalog.h"
#include "daemon/daemon_p.h"
#include "daemon/glue/glue_engine.h"
#include "daemon/job/job_events.h"
#include "daemon/job/job_lease.h"
#include "daemon/job/job_queue.h"
#include "daemon/job/job_store.h"
#include "daemon/metrics.h"
#include "daemon/pipeline.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/now.h"

#define FILE_WORKERS 4
#define READ_WORKERS 2
#define STOP_DEADLINE_MS 25000
#define PULSE_MS 500
#define WRITER_PATIENCE_MS 10000

static void stop_next(void *arg);

const char *daemon_phase_name(enum daemon_phase phase)
{
    static const char *const names[] = {
#define X(name, text) [DAEMON_##name] = text,
        DAEMON_PHASE_MAP(X)
#undef X
    };

    return names[phase];
}

void daemon_set_phase(struct daemon *daemon, enum daemon_phase phase)
{
    scoped(free) char *json = NULL;

    if (daemon->phase == phase) {
        return;
    }
    daemon->phase = phase;
    log_info(LOG_DAEMON, "%s", daemon_phase_name(phase));
    json = str_printf("{\"phase\":\"%s\"}", daemon_phase_name(phase));
    job_events_publish(daemon->services.events, "daemon", json);
}

void daemon_set_error(struct daemon *daemon, const char *text)
{
    free(daemon->error);
    daemon->error = text != NULL ? str_dup(text) : NULL;
    daemon->error_ms = text != NULL ? now_wall_ms() : 0;
}

void daemon_use_conf(struct daemon *daemon, struct conf *conf)
{
    enum log_level level = LOG_INFO;

    daemon->confs = mem_resize(daemon->confs, daemon->conf_count + 1, sizeof(daemon->confs[0]));
    daemon->confs[daemon->conf_count++] = conf;
    daemon->services.conf = conf;
    if (log_level_parse(conf->log_level, &level)) {
        log_set_level(level);
    }
}

/* ---- the pulse: what nobody else would notice */

static enum rc probe_writer(struct db *db, void *arg, struct err *err)
{
    (void)db, (void)arg, (void)err;
    return RC_OK;
}

static void on_writer_answered(const struct err *err, void *arg)
{
    struct daemon *daemon = arg;

    daemon->writer_asked = false;
    if (err != NULL && !daemon->writer_failed) {
        log_error(LOG_DAEMON, "state.db cannot be written: %s", err->text);
    }
    daemon->writer_failed = err != NULL;
}

/** After work, the heap keeps what it has freed but for its top: hand it back while nothing waits
 * for us. */
static void give_back_memory(struct daemon *daemon)
{
    uint64_t moves = 0;

    for (unsigned s = 0; s < JOB_STATE_COUNT; s++) {
        moves += job_store_entered(daemon->services.jobs, s);
    }
    if (moves == daemon->moves_given_back || !job_queue_idle(daemon->services.queue)) {
        return;
    }
    daemon->moves_given_back = moves;
#ifdef __GLIBC__
    (void)malloc_trim(0);
#endif
}

/** Nothing is under way that nobody else would tell us the end of. */
static bool is_at_rest(const struct daemon *daemon)
{
    return daemon->phase != DAEMON_DRAINING && !daemon->writer_failed &&
           job_queue_idle(daemon->services.queue) && !intake_busy(daemon->services.intake);
}

/** An idle daemon has no pulse: it would be a wake-up that no configuration asks for. */
static void pulse_in(const struct daemon *daemon, int64_t delay_ms)
{
    if (!daemon->pulse->due && daemon->phase != DAEMON_STOPPING) {
        daemon->pulse->due = true;
        loop_timer_arm(daemon->pulse->timer, delay_ms);
    }
}

static void on_event(const struct job_event_record *record, void *arg)
{
    (void)record;
    pulse_in(arg, PULSE_MS);
}

static void probe(struct daemon *daemon)
{
    daemon->writer_asked = true;
    daemon->writer_asked_ms = now_mono_ms();
    job_store_write(daemon->services.jobs, probe_writer, on_writer_answered, daemon);
}

static void on_pulse(void *arg)
{
    struct daemon *daemon = arg;
    const bool rests = is_at_rest(daemon);

    give_back_memory(daemon);
    if (daemon->phase == DAEMON_DRAINING && job_queue_idle(daemon->services.queue) &&
        !intake_busy(daemon->services.intake)) {
        daemon_set_phase(daemon, DAEMON_DRAINED);
    }
    if (!daemon->writer_asked && (!rests || daemon->pulse->probe)) {
        daemon->pulse->probe = false;
        probe(daemon);
    }
    if (!rests || daemon->writer_asked) {
        pulse_in(daemon, PULSE_MS);
    }
}

bool daemon_ready(const struct daemon *daemon)
{
    const bool open = daemon->phase == DAEMON_RUNNING || daemon->phase == DAEMON_DRAINING ||
                      daemon->phase == DAEMON_DRAINED;
    const bool late =
        daemon->writer_asked && now_mono_ms() - daemon->writer_asked_ms > WRITER_PATIENCE_MS;

    /* Who asks will ask again: let what he is told then be fresh. */
    daemon->pulse->probe = true;
    pulse_in(daemon, 0);
    return open && !daemon->writer_failed && !job_store_failing(daemon->services.jobs) && !late;
}

static void on_lag(double seconds, void *arg)
{
    struct daemon *daemon = arg;

    metric_observe(daemon->services.metrics, METRIC_LOOP_LAG, METRIC_LABELS(""), seconds);
}

/* ---- the end, a step at a time */

static bool lanes_are_quiet(const struct work *work)
{
    for (unsigned lane = 0; lane < WORK_LANE_COUNT; lane++) {
        if (work_running(work, lane) + work_queued(work, lane) > 0) {
            return false;
        }
    }
    return true;
}

/** What was asked before the end may still be on a lane: look until nothing is. */
static void wait_for_lanes(void *arg)
{
    struct daemon *daemon = arg;
    struct services *services = &daemon->services;

    if (lanes_are_quiet(services->work) && job_store_pending(services->jobs) == 0 &&
        catalog_pending(services->catalog) == 0 && !intake_busy(services->intake) &&
        daemon_aws_is_quiet(services) &&
        (services->leases == NULL || !job_leases_busy(services->leases))) {
        stop_next(daemon);
        return;
    }
    loop_timer_arm(daemon->pulse->timer, 1);
}

static void on_pulse_while_stopping(void *arg)
{
    struct daemon *daemon = arg;

    daemon->pulse->due = false;
    if (daemon->phase != DAEMON_STOPPING) {
        on_pulse(daemon);
    } else if (daemon->stop_step == STOP_LANES) {
        wait_for_lanes(daemon);
    }
}

/** Do the step, then come back for the next. */
static void stop_run(struct daemon *daemon)
{
    switch (daemon->stop_step) {
    case STOP_SOURCE: /* nothing new is sighted */
        source_stop(TAKE(daemon->source), stop_next, daemon);
        return;

    case STOP_SERVERS: /* nobody asks for anything */
        ops_stop(TAKE(daemon->ops), stop_next, daemon);
        return;

    case STOP_QUEUE: /* stages wind down and put their jobs to rest */
        job_queue_stop(daemon->services.queue, stop_next, daemon);
        return;

    case STOP_OUTBOX: /* the last moves are written; what is not sent is sent by the next */
        if (daemon->outbox != NULL) {
            outbox_stop(TAKE(daemon->outbox), stop_next, daemon);
        } else {
            stop_next(daemon);
        }
        return;

    case STOP_LANES: /* what is on a lane ends */
        glue_engine_stop(daemon->glue);
        wait_for_lanes(daemon);
        return;

    case STOP_DONE:
        loop_stop(daemon->services.loop);
        return;
    }
}

static void stop_next(void *arg)
{
    struct daemon *daemon = arg;

    daemon->stop_step++;
    stop_run(daemon);
}

static void on_deadline(void *arg)
{
    const struct daemon *daemon = arg;

    /* Safe: the next start puts every job at work back to its rest. */
    log_error(LOG_DAEMON, "not stopped after %d s (%u jobs at work): ending at once",
              STOP_DEADLINE_MS / 1000, job_queue_working(daemon->services.queue));
    _exit(DAEMON_EXIT_FAILED);
}

void daemon_stop(struct daemon *daemon)
{
    if (daemon->phase == DAEMON_STOPPING) {
        return;
    }
    daemon_notify_stopping(daemon->notify);
    daemon_set_phase(daemon, DAEMON_STOPPING);
    daemon_cloudwatch_quiet(daemon->cloudwatch);
    loop_timer_disarm(daemon->pulse->timer);
    loop_timer_arm(daemon->deadline, STOP_DEADLINE_MS);
    daemon->stop_step = STOP_SOURCE;
    stop_run(daemon);
}

static void on_reloaded(const struct err *err, void *arg)
{
    (void)err, (void)arg; /* daemon_reload() has logged it */
}

static void on_signal(int number, void *arg)
{
    struct daemon *daemon = arg;

    if (number == SIGHUP) {
        daemon_reload(daemon, on_reloaded, NULL);
        return;
    }
    if (daemon->phase == DAEMON_STOPPING) {
        log_warn(LOG_DAEMON, "asked twice to stop: ending at once");
        _exit(DAEMON_EXIT_FAILED);
    }
    log_note(LOG_DAEMON, "stopping on %s", number == SIGTERM ? "SIGTERM" : "SIGINT");
    daemon_stop(daemon);
}

/* ---- what is made, in order; whatever is there is taken down in reverse */

static void make_loop(struct daemon *daemon)
{
    struct services *services = &daemon->services;
    const unsigned widths[WORK_LANE_COUNT] = {
        [WORK_CPU] = services->conf->extract_workers,
        [WORK_FILE] = FILE_WORKERS,
        [WORK_READ] = READ_WORKERS,
        [WORK_STATE] = 1,
        [WORK_CATALOG] = 1,
    };

    services->loop = loop_new();
    services->gather = gather_new(services->loop, GATHER_MS);
    services->work = work_new(services->loop, widths);
    services->budget = budget_new(services->conf->extract_memory_bytes);
    services->metrics = metric_registry_new("sevird_", metric_families, METRIC_COUNT);
    services->events = job_events_new();
    metric_set(services->metrics, METRIC_BUILD_INFO, METRIC_LABELS(SEVIRD_VERSION), 1);
    loop_watch_lag(services->loop, on_lag, daemon);
}

static enum rc make_services(struct daemon *daemon, struct err *err)
{
    struct services *services = &daemon->services;
    const struct conf *conf = services->conf;
    const struct h5_options h5 = {.parallel = MAX_OF(conf->extract_workers, 2),
                                  .deadline_ms = conf->crawl_deadline_ms,
                                  .memory_bytes = conf->crawl_memory_bytes};

    make_loop(daemon);
    if (job_store_open(services, conf->state_dir, &services->jobs, err) != RC_OK ||
        daemon_open_aws(services, err) != RC_OK || daemon_open_stores(services, err) != RC_OK ||
        daemon_look_at_stores(services, err) != RC_OK ||
        catalog_open(services->loop, services->work, conf->state_dir,
                     job_store_path(services->jobs), conf->query_limit_ms, &services->catalog,
                     err) != RC_OK) {
        return err->rc;
    }
    catalog_gather(services->catalog, services->gather);
    if (catalog_is_new(services->catalog) && job_store_count(services->jobs, JOB_DONE) > 0) {
        log_warn(LOG_DAEMON, "catalog.db is new, but objects were done before: 'sevirctl rebuild' "
                             "fills it from the stores");
    }
    services->h5 = h5_helper_new(services->loop, &h5);
    daemon_share_processed(services);
    services->queue = job_queue_new(services, pipeline_stages);
    services->intake = intake_new(services);
    daemon->glue = glue_engine_new(services);
    services->remote = glue_engine_remote(daemon->glue);
    return ops_start(services, daemon, &daemon->ops, err);
}

static void pulse_start(struct daemon *daemon)
{
    struct services *services = &daemon->services;

    daemon->pulse = mem_new(struct daemon_pulse);
    *daemon->pulse = (struct daemon_pulse){
        .timer = loop_timer_new(services->loop, on_pulse_while_stopping, daemon),
        .listener = job_events_listen(services->events, job_events_last(services->events), on_event,
                                      daemon),
        .probe = true,
    };
}

static void pulse_stop(struct daemon_pulse *pulse)
{
    if (pulse != NULL) { /* else there was no start */
        loop_timer_free(pulse->timer);
        job_events_unlisten(pulse->listener);
        free(pulse);
    }
}

static void start(struct daemon *daemon)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP, 0};
    const struct conf *conf = daemon->services.conf;
    struct services *services = &daemon->services;
    char memory[24];

    daemon->signals = signals_start(services->loop, numbers, on_signal, daemon);
    daemon->notify = daemon_notify_start(services);
    daemon->cloudwatch = daemon_cloudwatch_start(services);
    pulse_start(daemon);
    daemon->deadline = loop_timer_new(services->loop, on_deadline, daemon);
    daemon->started_ms = now_wall_ms();
    log_note(LOG_DAEMON,
             "sevird " SEVIRD_VERSION " pid=%ld raw='%s' processed='%s' state='%s' workers=%u "
             "memory=%s recovered=%u",
             (long)getpid(), conf->raw_uri, conf->processed_uri, conf->state_dir,
             conf->extract_workers, str_from_bytes(conf->extract_memory_bytes, memory),
             job_store_recovered(services->jobs));
    daemon->outbox = outbox_start(services);
    job_queue_start(services->queue);
    daemon->source = source_start(services);
    if (daemon->glue != NULL) {
        source_on_glue(daemon->source, glue_engine_event, daemon->glue);
    }
    daemon_set_phase(daemon, DAEMON_RUNNING);
    on_pulse(daemon);
    daemon_notify_ready(daemon->notify);
}

static void take_down(struct daemon *daemon)
{
    struct services *services = &daemon->services;

    loop_timer_free(daemon->deadline);
    pulse_stop(daemon->pulse);
    daemon_notify_stop(daemon->notify);
    daemon_cloudwatch_stop(daemon->cloudwatch);
    signals_stop(daemon->signals);
    glue_engine_free(daemon->glue);
    intake_free(services->intake);
    job_queue_free(services->queue);
    job_leases_free(services->leases);
    h5_helper_free(services->h5);
    catalog_close(services->catalog);
    store_free(services->processed);
    store_free(services->raw);
    daemon_close_aws(services);
    job_store_close(services->jobs);
    job_events_free(services->events);
    metric_registry_free(services->metrics);
    budget_free(services->budget);
    if (services->loop != NULL) {
        loop_watch_lag(services->loop, NULL, NULL);
    }
    work_free(services->work);
    gather_free(services->gather);
    loop_free(services->loop);
    for (unsigned i = 0; i < daemon->conf_count; i++) {
        conf_free(daemon->confs[i]);
    }
    free(daemon->confs);
    free(daemon->config_path);
    free(daemon->error);
    free(daemon);
}

enum daemon_exit daemon_run(const char *config_path, struct conf *conf)
{
    struct daemon *daemon = mem_new(struct daemon);
    enum daemon_exit code = DAEMON_EXIT_OK;
    struct err err;

    log_start(LOG_INFO);
    daemon->config_path = str_dup(config_path);
    daemon_use_conf(daemon, conf);
    if (make_services(daemon, &err) == RC_OK) {
        start(daemon);
        loop_run(daemon->services.loop);
        log_note(LOG_DAEMON, "stopped");
    } else {
        fprintf(stderr, "sevird: %s\n", err.text);
        code = DAEMON_EXIT_FAILED;
    }
    take_down(daemon);
    return code;
}
