/** @file
 * What every run does, whatever its kind: being recorded, waiting, ending, being given up.
 */
#include <inttypes.h>
#include <string.h>
#include <sys/random.h>

#include "daemon/glue/glue_p.h"
#include "daemon/metrics.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/now.h"

static void on_timer(void *arg)
{
    engine_run_go(arg);
}

/* ---- making and freeing ---- */

static void make_token(char ret_token[RUN_TOKEN])
{
    uint8_t bytes[(RUN_TOKEN - 1) / 2];

    if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes)) {
        memset(bytes, 0, sizeof(bytes));
        memcpy(bytes, &(uint64_t){(uint64_t)now_mono_us()}, sizeof(uint64_t));
    }
    for (size_t i = 0; i < sizeof(bytes); i++) {
        snprintf(&ret_token[2 * i], 3, "%02x", bytes[i]);
    }
}

static struct engine_run *make(struct glue_lane *lane, const char *name, const char *token)
{
    struct engine_run *run = mem_new(struct engine_run);
    struct engine_run **last = &lane->runs;

    *run = (struct engine_run){
        .lane = lane,
        .name = str_dup(name),
        .remote_id = str_dup(""),
        .error = str_dup(""),
        .log_url = str_dup(""),
        .state = "NEW",
        .began_ms = now_wall_ms(),
    };
    if (token != NULL) {
        snprintf(run->token, sizeof(run->token), "%s", token);
    } else {
        make_token(run->token);
    }
    run->plan_key = str_printf("_glue/runs/%s/plan.json", run->token);
    run->result_key = str_printf("_glue/runs/%s/result.json", run->token);
    run->timer = loop_timer_new(lane->engine->services->loop, on_timer, run);
    while (*last != NULL) {
        last = &(*last)->next;
    }
    *last = run;
    return run;
}

struct engine_run *engine_run_new(struct glue_lane *lane, const char *name)
{
    return make(lane, name, NULL);
}

void engine_run_free(struct engine_run *run)
{
    struct engine_run **link = &run->lane->runs;

    while (*link != run) {
        link = &(*link)->next;
    }
    *link = run->next;
    for (struct glue_wait *wait = run->lane->waits; wait != NULL; wait = wait->next) {
        wait->run = wait->run == run ? NULL : wait->run;
    }
    loop_timer_free(run->timer);
    run_result_free(run->result);
    strbuf_done(&run->text);
    free(run->bytes);
    free(run->name);
    free(run->remote_id);
    free(run->error);
    free(run->log_url);
    free(run->plan_key);
    free(run->result_key);
    free(run->jobs);
    free(run);
}

/** A state that Glue, or we, have called final; NULL: `state` is none. */
static const char *final_state(const char *state)
{
    static const char *const finals[] = {"SUCCEEDED", "FAILED",    "TIMEOUT", "ERROR", "STOPPED",
                                         "EXPIRED",   "CANCELLED", "REFUSED", "LOST"};

    for (unsigned i = 0; i < ARRAY_LEN(finals); i++) {
        if (strcmp(state, finals[i]) == 0) {
            return finals[i];
        }
    }
    return NULL;
}

/** What the last daemon would have told the jobs of a run that ended so. */
static enum rc class_of(const struct engine_run *run, const char *state)
{
    static const struct {
        const char *state;
        enum rc rc;
    } classes[] = {
        {"REFUSED", RC_HOST},     {"TIMEOUT", RC_TIMEOUT},    {"EXPIRED", RC_TIMEOUT},
        {"STOPPED", RC_CONFLICT}, {"CANCELLED", RC_CONFLICT},
    };

    for (unsigned i = 0; i < ARRAY_LEN(classes); i++) {
        if (strcmp(state, classes[i].state) == 0) {
            return classes[i].rc;
        }
    }
    return run->lane->kind == GLUE_CRAWLS ? crawler_run_class(run->error) : RC_NETWORK;
}

/** A crawl's end is known from the record; a job's result is looked for again. */
static void resume_ended(struct engine_run *run, const char *state)
{
    const bool well = strcmp(state, "SUCCEEDED") == 0;

    run->state = state;
    if (run->lane->kind == GLUE_JOBS && well && run->job_count > 0) {
        run->step = RUN_MEASURE;
        return;
    }
    run->step = RUN_OVER;
    if (!well) {
        err_set(&run->outcome, class_of(run, state), "%.400s", run->error);
    }
}

void engine_run_resume(struct glue_lane *lane, const struct job_run_open *open)
{
    struct engine_run *run = make(lane, open->run.name, open->run.token);
    const char *state = final_state(open->run.state);

    run->id = open->run.id;
    free(run->remote_id);
    run->remote_id = str_dup(open->run.remote_id);
    free(run->error);
    run->error = str_dup(open->run.error);
    free(run->log_url);
    run->log_url = str_dup(open->run.log_url);
    run->after_ms = open->run.after_ms;
    run->began_ms = open->run.began_ms;
    run->ended_ms = open->run.ended_ms;
    run->dpu_seconds = open->run.dpu_seconds;
    run->acknowledged = strcmp(open->run.state, "STARTED") == 0;
    run->state = run->acknowledged ? "STARTED" : "NEW";
    for (unsigned i = 0; i < open->job_count; i++) {
        engine_run_add_job(run, open->jobs[i]);
    }
    run->step = lane->kind == GLUE_CRAWLS || run->remote_id[0] != '\0' ? RUN_FOLLOW : RUN_FIND;
    if (state != NULL) {
        resume_ended(run, state);
    }
    log_note(LOG_AWS, "run %" PRId64 " of %s '%s' goes on: %s, %u jobs", run->id, lane->kind_name,
             run->name, open->run.state, run->job_count);
}

/* ---- its jobs ---- */

struct engine_run *engine_run_of(const struct glue_lane *lane, uint64_t job)
{
    for (struct engine_run *run = lane->runs; run != NULL; run = run->next) {
        for (unsigned i = 0; i < run->job_count; i++) {
            if (run->jobs[i] == job) {
                return run;
            }
        }
    }
    return NULL;
}

void engine_run_add_job(struct engine_run *run, uint64_t job)
{
    if ((run->job_count & (run->job_count - 1)) == 0) {
        run->jobs =
            mem_resize(run->jobs, MAX_OF((size_t)2 * run->job_count, 8), sizeof(*run->jobs));
    }
    run->jobs[run->job_count++] = job;
}

static void settled(void *arg)
{
    engine_run_go(arg);
}

void engine_run_settle(struct engine_run *run, uint64_t job)
{
    struct services *services = run->lane->engine->services;

    for (unsigned i = 0; i < run->job_count; i++) {
        if (run->jobs[i] == job) {
            run->jobs[i] = run->jobs[--run->job_count];
            break;
        }
    }
    if (run->id != 0) {
        job_run_settle(services->jobs, run->id, job);
    }
    if (run->job_count == 0 && !run->asking) {
        run->asking = true; /* so that nothing else goes on with it meanwhile */
        loop_timer_disarm(run->timer);
        loop_defer(services->loop, settled, run);
    }
}

/* ---- going on ---- */

bool engine_run_is_open(const struct engine_run *run)
{
    return run->step != RUN_OVER && run->step != RUN_CLOSE && run->step != RUN_GONE;
}

static void close_run(struct engine_run *run)
{
    struct glue_lane *lane = run->lane;

    engine_run_free(run);
    glue_gather(lane);
}

void engine_run_go(struct engine_run *run)
{
    run->asking = false;
    loop_timer_disarm(run->timer);
    if (run->lane->engine->stopping) {
        return;
    }
    if (run->job_count == 0 && engine_run_is_open(run) && run->step != RUN_STOP) {
        run->step = run->id == 0 ? RUN_GONE : RUN_STOP;
    } else if (run->job_count == 0 && run->step == RUN_OVER) {
        run->step = RUN_CLOSE;
    }
    if (run->step == RUN_GONE) {
        close_run(run);
    } else if (run->step != RUN_OVER) {
        run->lane->advance(run);
    }
}

void engine_run_then(struct engine_run *run, enum run_step step)
{
    run->step = step;
    engine_run_go(run);
}

void engine_run_wait(struct engine_run *run)
{
    const int64_t least_ms = run->lane->engine->services->conf->glue_poll_ms;
    const int64_t most_ms = MAX_OF(RUN_POLL_MAX_MS, least_ms);

    run->poll_ms = run->poll_ms == 0 ? least_ms : MIN_OF(2 * run->poll_ms, most_ms);
    run->asking = false;
    if (run->lane->engine->stopping) {
        return;
    }
    const bool now = run->hurry || run->job_count == 0;

    loop_timer_arm(run->timer, now ? 0 : run->poll_ms);
    run->poll_ms = now ? 0 : run->poll_ms;
    run->hurry = false;
}

void engine_run_begins(struct engine_run *run)
{
    run->began_ms = now_wall_ms();
}

bool engine_run_is_late(const struct engine_run *run)
{
    return now_wall_ms() - run->began_ms > run->lane->engine->services->conf->glue_run_timeout_ms;
}

/* ---- on record ---- */

struct recording {
    struct engine_run *run;
    enum run_step step;
};

static void on_saved(int64_t id, const struct err *err, void *arg)
{
    struct recording *recording = arg;
    struct engine_run *run = recording->run;
    const enum run_step step = recording->step;

    free(recording);
    run->id = id;
    if (err != NULL) {
        log_error(LOG_AWS, "run of %s '%s' is not on record: %s", run->lane->kind_name, run->name,
                  err->text);
    }
    if (id == 0) { /* what is not on record is not begun */
        run->asking = false;
        loop_timer_arm(run->timer, RUN_AGAIN_MS);
        return;
    }
    if (run->step == RUN_OVER) {
        glue_answer_run(run);
        glue_gather(run->lane);
    }
    engine_run_then(run, step);
}

void engine_run_record(struct engine_run *run, const char *state, enum run_step step)
{
    struct recording *recording = mem_new(struct recording);
    const struct job_run row = {
        .id = run->id,
        .kind = run->lane->kind_name,
        .name = run->name,
        .token = run->token,
        .remote_id = run->remote_id,
        .state = state,
        .error = run->error,
        .log_url = run->log_url,
        .after_ms = run->after_ms,
        .began_ms = run->began_ms,
        .ended_ms = run->ended_ms,
        .dpu_seconds = run->dpu_seconds,
        .closed = run->step == RUN_CLOSE,
    };

    *recording = (struct recording){.run = run, .step = step};
    run->state = state;
    run->asking = true;
    job_run_save(run->lane->engine->services->jobs, &row, run->jobs,
                 run->id == 0 ? run->job_count : 0, on_saved, recording);
}

/* ---- the end ---- */

void engine_run_set_log(struct engine_run *run, const char *group, const char *stream)
{
    struct services *services = run->lane->engine->services;
    const char *region = aws_region(services->aws);
    struct strbuf url = {0};

    if (group[0] == '\0') {
        return;
    }
    strbuf_printf(&url,
                  "https://%s.console.aws.amazon.com/cloudwatch/home?region=%s#logsV2:"
                  "log-groups/log-group/",
                  region, region);
    for (const char *c = group; *c != '\0'; c++) { /* the console escapes twice, with '$' */
        if (*c == '/') {
            strbuf_puts(&url, "$252F");
        } else if (*c > ' ' && *c < 0x7f) {
            strbuf_putc(&url, *c);
        }
    }
    if (stream != NULL && stream[0] != '\0') {
        strbuf_printf(&url, "/log-events/%.300s", stream);
    }
    free(run->log_url);
    run->log_url = strbuf_take(&url);
}

void engine_run_over(struct engine_run *run, const char *state, const struct err *err)
{
    struct services *services = run->lane->engine->services;

    run->ended_ms = now_wall_ms();
    run->step = RUN_OVER;
    if (err != NULL) {
        run->outcome = *err;
        free(run->error);
        run->error = str_dup(err->text);
        log_warn(LOG_AWS, "%s%s%s", err->text, run->log_url[0] != '\0' ? "; log: " : "",
                 run->log_url);
    } else {
        log_note(LOG_AWS, "run of %s '%s' %s, for %u jobs", run->lane->kind_name, run->name, state,
                 run->job_count);
    }
    metric_add(services->metrics, METRIC_GLUE_RUNS, METRIC_LABELS(run->lane->kind_name, state), 1);
    metric_add(services->metrics, METRIC_GLUE_DPU_SECONDS, METRIC_LABELS(""), run->dpu_seconds);
    engine_run_record(run, state, RUN_OVER);
}

void engine_run_failed(struct engine_run *run, enum run_step step, const struct err *err)
{
    struct err why = *err;

    if (rc_retry_class(err->rc) == RETRY_BACKOFF || err->rc == RC_CANCELED) {
        if (!run->complained) {
            run->complained = true;
            log_warn(LOG_AWS, "%s '%s': %s: it is tried again", run->lane->kind_name, run->name,
                     err->text);
        }
        run->step = step;
        engine_run_wait(run);
        return;
    }
    /* A name or a permission that is wrong is not the objects' fault: they wait until it is mended
     * (decision 0004). */
    why.rc = RC_HOST;
    err_wrap(&why, "run of %s '%s'", run->lane->kind_name, run->name);
    engine_run_over(run, "REFUSED", &why);
}
