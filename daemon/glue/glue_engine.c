/** @file
 * The face of the engine: who waits, who is answered, what is told from outside.
 */
#include "daemon/glue/glue_engine.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "daemon/glue/glue_p.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/now.h"

#define LOAD_AGAIN_MS 2000

static struct glue_engine *engine_of(struct job_remote *remote)
{
    return (struct glue_engine *)((char *)remote - offsetof(struct glue_engine, remote));
}

/* ---- answers ---- */

static void wait_free(struct glue_wait *wait)
{
    struct glue_wait **link = &wait->lane->waits;

    while (*link != wait) {
        link = &(*link)->next;
    }
    *link = wait->next;
    free(wait->key);
    free(wait->version);
    free(wait->etag);
    free(wait->output);
    free(wait);
}

static enum rc outcome_of(const struct glue_wait *wait, const struct job_remote_made **ret_made,
                          struct err *err)
{
    const struct engine_run *run = wait->run;
    scoped(free) char *key = NULL;

    if (wait->left) {
        return err_set(err, RC_CANCELED, "it does not wait for Glue any more");
    }
    if (run->outcome.rc != RC_OK) {
        *err = run->outcome;
        return err->rc;
    }
    if (run->result == NULL) {
        return RC_OK;
    }
    key = glue_key_in_bucket(wait->lane->engine->services->raw, wait->key);
    if (run_result_find(run->result, key, wait->etag, ret_made, err) != RC_OK) {
        return err_wrap(err, "run %.80s", run->remote_id);
    }
    return RC_OK;
}

static void answer(void *arg)
{
    struct glue_wait *wait = arg;
    const struct job_remote_made *made = NULL;
    const struct engine_run *run = wait->run;
    scoped(free) char *name = NULL;
    struct err err;
    const bool well = outcome_of(wait, &made, &err) == RC_OK;

    if (run != NULL && !wait->left) {
        name = run->remote_id[0] != '\0' ? str_dup(run->remote_id)
                                         : str_printf("crawler:%s", run->name);
        if (!well && run->log_url[0] != '\0') {
            const size_t len = strlen(err.text);

            snprintf(err.text + len, sizeof(err.text) - len, "; log: %s", run->log_url);
        }
    }
    wait->done(name != NULL ? name : "", made, well ? NULL : &err, wait->arg);
    wait_free(wait);
}

static void answer_later(struct glue_wait *wait)
{
    if (!wait->answering) {
        wait->answering = true;
        loop_defer(wait->lane->engine->services->loop, answer, wait);
    }
}

void glue_answer_run(struct engine_run *run)
{
    for (struct glue_wait *wait = run->lane->waits; wait != NULL; wait = wait->next) {
        if (wait->run == run) {
            answer_later(wait);
        }
    }
}

/* ---- joining and leaving ---- */

/** To the run that it was in, if there is one. */
static void attach(struct glue_wait *wait)
{
    wait->run = engine_run_of(wait->lane, wait->job);
    if (wait->run != NULL && wait->run->step == RUN_OVER && !wait->run->asking) {
        answer_later(wait);
    }
}

static struct glue_wait *join(struct glue_lane *lane, const struct job *job, const char *output,
                              job_remote_done_fn *done, void *arg)
{
    struct glue_wait *wait = mem_new(struct glue_wait);
    struct glue_wait **last = &lane->waits;

    *wait = (struct glue_wait){
        .lane = lane,
        .job = job->id,
        .key = str_dup(job->object.key),
        .version = str_dup(job->object.version),
        .etag = str_dup(job->object.etag),
        .output = output != NULL ? str_dup(output) : NULL,
        .joined_ms = now_mono_ms(),
        .done = done,
        .arg = arg,
    };
    while (*last != NULL) {
        last = &(*last)->next;
    }
    *last = wait;
    if (lane->engine->loaded) {
        attach(wait);
        glue_gather(lane);
    }
    return wait;
}

static void crawl(struct job_remote *remote, const struct job *job, job_remote_done_fn *done,
                  void *arg)
{
    join(&engine_of(remote)->lanes[GLUE_CRAWLS], job, NULL, done, arg);
}

static void extract(struct job_remote *remote, const struct job *job, const char *output,
                    job_remote_done_fn *done, void *arg)
{
    join(&engine_of(remote)->lanes[GLUE_JOBS], job, output, done, arg);
}

static void leave(struct job_remote *remote, const struct job *job)
{
    struct glue_engine *engine = engine_of(remote);

    for (unsigned kind = 0; kind < GLUE_KINDS; kind++) {
        for (struct glue_wait *wait = engine->lanes[kind].waits; wait != NULL; wait = wait->next) {
            if (wait->job == job->id && !wait->answering) {
                wait->left = true;
                answer_later(wait);
            }
        }
        glue_gather(&engine->lanes[kind]);
    }
}

static void tell(struct job_remote *remote, job_remote_told_fn *done, void *arg)
{
    glue_sync_ask(engine_of(remote)->sync, done, arg);
}

static bool run_at(struct job_remote *remote, unsigned index, struct job_remote_run *ret_run)
{
    struct glue_engine *engine = engine_of(remote);

    for (unsigned kind = 0; kind < GLUE_KINDS; kind++) {
        const struct glue_lane *lane = &engine->lanes[kind];

        for (const struct engine_run *run = lane->runs; run != NULL; run = run->next) {
            if (!engine_run_is_open(run) || index-- > 0) {
                continue;
            }
            *ret_run = (struct job_remote_run){
                .engine = "glue",
                .kind = lane->kind_name,
                .name = run->name,
                .id = run->remote_id,
                .state = run->seen != NULL ? run->seen : run->state,
                .since_ms = run->began_ms,
                .objects = run->job_count,
            };
            return true;
        }
    }
    return false;
}

/* ---- what becomes of the jobs ---- */

/** A stage that was only stopped leaves its job in its run. */
static bool has_moved_on(const struct job_news *news, enum glue_kind kind)
{
    const enum job_state stage = kind == GLUE_CRAWLS ? JOB_CRAWLING : JOB_EXTRACTING;
    const enum job_state before = kind == GLUE_CRAWLS ? JOB_QUEUED : JOB_CRAWLED;

    return news->from == stage ? news->to != before : job_state_kind(news->to) == JOB_KIND_END;
}

static void on_news(const struct job_news *news, void *arg)
{
    struct glue_engine *engine = arg;

    for (unsigned kind = 0; kind < GLUE_KINDS; kind++) {
        struct engine_run *run = engine_run_of(&engine->lanes[kind], news->job);

        if (run != NULL && has_moved_on(news, kind)) {
            engine_run_settle(run, news->job);
        }
    }
}

/* ---- hints ---- */

static bool is_meant(const struct engine_run *run, const struct envelope_glue *event)
{
    if (strcmp(event->name, run->name) != 0 || !engine_run_is_open(run)) {
        return false;
    }
    return run->lane->kind == GLUE_CRAWLS
               ? event->kind == ENVELOPE_GLUE_CRAWLER
               : event->kind == ENVELOPE_GLUE_JOB &&
                     (event->run_id[0] == '\0' || strcmp(event->run_id, run->remote_id) == 0);
}

void glue_engine_event(const struct envelope_glue *event, void *arg)
{
    struct glue_engine *engine = arg;

    if (engine->stopping) {
        return;
    }
    for (unsigned kind = 0; kind < GLUE_KINDS; kind++) {
        for (struct engine_run *run = engine->lanes[kind].runs; run != NULL; run = run->next) {
            if (!is_meant(run, event)) {
                continue;
            }
            if (run->asking) {
                run->hurry = true;
            } else {
                run->poll_ms = 0;
                loop_timer_arm(run->timer, 0);
            }
        }
    }
}

/* ---- the start ---- */

static void load(void *arg);

static void go_on(struct glue_lane *lane)
{
    struct engine_run *next;

    for (struct engine_run *run = lane->runs; run != NULL; run = next) {
        next = run->next;
        engine_run_go(run);
    }
    glue_gather(lane);
}

/** What was due before this start is told of with the next that is published, if not now. */
static void on_told(const struct err *err, void *arg)
{
    (void)arg;
    if (err != NULL && err->rc != RC_CANCELED) {
        log_warn(LOG_AWS, "%s", err->text);
    }
}

static void on_loaded(const struct job_run_open *runs, unsigned count, const struct err *err,
                      void *arg)
{
    struct glue_engine *engine = arg;

    if (engine->stopping) {
        return;
    }
    if (err != NULL) {
        log_error(LOG_AWS, "the runs of Glue cannot be read: %s", err->text);
        loop_timer_arm(engine->load_again, LOAD_AGAIN_MS);
        return;
    }
    engine->loaded = true;
    if (engine->remote.registers) {
        glue_sync_ask(engine->sync, on_told, engine);
    }
    for (unsigned i = 0; i < count; i++) {
        const bool crawls = strcmp(runs[i].run.kind, "crawl") == 0;

        engine_run_resume(&engine->lanes[crawls ? GLUE_CRAWLS : GLUE_JOBS], &runs[i]);
    }
    for (unsigned kind = 0; kind < GLUE_KINDS; kind++) {
        struct glue_lane *lane = &engine->lanes[kind];

        for (struct glue_wait *wait = lane->waits; wait != NULL; wait = wait->next) {
            attach(wait);
        }
        go_on(lane);
    }
}

static void load(void *arg)
{
    struct glue_engine *engine = arg;

    job_runs_load(engine->services->jobs, on_loaded, engine);
}

static void on_due(void *arg)
{
    glue_gather(arg);
}

struct glue_engine *glue_engine_new(struct services *services)
{
    const struct conf *conf = services->conf;
    const bool crawls = strcmp(conf->crawl_engine, "glue") == 0;
    const bool extracts = strcmp(conf->extract_engine, "glue") == 0;
    const bool registers = strcmp(conf->catalog_engine, "glue") == 0;
    struct glue_engine *engine;

    if (!crawls && !extracts && !registers) {
        return NULL;
    }
    engine = mem_new(struct glue_engine);
    *engine = (struct glue_engine){
        .remote = {crawls, extracts, registers, crawl, extract, tell, leave, run_at},
        .services = services,
        .lanes =
            {
                [GLUE_CRAWLS] = {engine, GLUE_CRAWLS, "crawl", crawler_run_advance, NULL, NULL,
                                 NULL},
                [GLUE_JOBS] = {engine, GLUE_JOBS, "job", job_runner_advance, NULL, NULL, NULL},
            },
    };
    for (unsigned kind = 0; kind < GLUE_KINDS; kind++) {
        engine->lanes[kind].timer = loop_timer_new(services->loop, on_due, &engine->lanes[kind]);
    }
    engine->sync = glue_sync_new(engine);
    engine->load_again = loop_timer_new(services->loop, load, engine);
    engine->watch = job_watch_start(services->jobs, on_news, engine);
    load(engine);
    return engine;
}

struct job_remote *glue_engine_remote(struct glue_engine *engine)
{
    return engine != NULL ? &engine->remote : NULL;
}

void glue_engine_stop(struct glue_engine *engine)
{
    if (engine == NULL) {
        return;
    }
    engine->stopping = true;
    loop_timer_disarm(engine->load_again);
    for (unsigned kind = 0; kind < GLUE_KINDS; kind++) {
        loop_timer_disarm(engine->lanes[kind].timer);
        for (struct engine_run *run = engine->lanes[kind].runs; run != NULL; run = run->next) {
            loop_timer_disarm(run->timer);
        }
    }
}

void glue_engine_free(struct glue_engine *engine)
{
    if (engine == NULL) {
        return;
    }
    job_watch_stop(engine->watch);
    glue_sync_free(engine->sync);
    for (unsigned kind = 0; kind < GLUE_KINDS; kind++) {
        struct glue_lane *lane = &engine->lanes[kind];

        assert(lane->waits == NULL);
        while (lane->runs != NULL) {
            engine_run_free(lane->runs);
        }
        loop_timer_free(lane->timer);
    }
    loop_timer_free(engine->load_again);
    free(engine);
}
