/** @file
 * A run of the job. Read job_runner_advance() from top to bottom: it is the whole story.
 *
 * What the run is to do lies in the processed store before it is started, under a token of ours
 * that its arguments carry; so a run whose start we do not know the end of can be looked for.
 */
#include <string.h>

#include "daemon/glue/glue_p.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"

#define SKEW_MS 900000 /* Our clock may be ahead of Glue's when a run is looked for. */
#define FIND_LOOKS 2

/* ---- PUT_PLAN ---- */

static void on_step_done(struct engine_run *run, enum run_step again, enum run_step next,
                         const struct err *err)
{
    if (err != NULL) {
        engine_run_failed(run, again, err);
    } else {
        run->poll_ms = 0;
        engine_run_then(run, next);
    }
}

static void on_plan_put(const struct err *err, void *arg)
{
    struct engine_run *run = arg;

    on_step_done(run, RUN_PUT_PLAN, RUN_START, err);
}

char *glue_key_in_bucket(const struct store *store, const char *key)
{
    const char *prefix = store->uri->path;
    const size_t len = strlen(prefix);

    return str_printf("%s%s%s", prefix, len > 0 && prefix[len - 1] != '/' ? "/" : "", key);
}

static void write_plan(struct engine_run *run)
{
    struct services *services = run->lane->engine->services;
    scoped(free) char *result = uri_format(services->processed->uri, run->result_key);
    bool first = true;

    strbuf_reset(&run->text);
    run_plan_begin(&run->text, run->token, result);
    for (const struct glue_wait *wait = run->lane->waits; wait != NULL; wait = wait->next) {
        if (wait->run == run && !wait->answering) {
            scoped(free) char *key = glue_key_in_bucket(services->raw, wait->key);
            scoped(free) char *output = uri_format(services->processed->uri, wait->output);
            const struct run_plan_object object = {
                .bucket = store_bucket(services->raw),
                .key = key,
                .version = wait->version,
                .etag = wait->etag,
                .output = output,
            };

            run_plan_add(&run->text, &object, first);
            first = false;
        }
    }
    run_plan_end(&run->text);
}

static void put_plan(struct engine_run *run)
{
    write_plan(run);
    run->put = (struct store_put){
        .key = run->plan_key,
        .bytes = run->text.data,
        .len = run->text.len,
        .content_type = "application/json",
    };
    store_put(run->lane->engine->services->processed, &run->put, 1, on_plan_put, run);
}

/* ---- FIND: a start that we do not know the end of ---- */

static void take_id(struct engine_run *run, const char *id)
{
    free(run->remote_id);
    run->remote_id = str_dup(id);
    run->acknowledged = true;
    run->poll_ms = 0;
    engine_run_record(run, "STARTED", RUN_FOLLOW);
}

/** The last daemon died before it was started: its jobs are gathered anew. */
static void never_started(struct engine_run *run)
{
    for (struct glue_wait *wait = run->lane->waits; wait != NULL; wait = wait->next) {
        wait->run = wait->run == run ? NULL : wait->run;
    }
    while (run->job_count > 0) {
        engine_run_settle(run, run->jobs[run->job_count - 1]);
    }
    engine_run_over(run, "LOST", NULL);
}

static void on_found(const struct glue_run *found, const struct err *err, void *arg)
{
    struct engine_run *run = arg;

    if (err == NULL) {
        log_note(LOG_AWS, "run %s of job '%s' was started before", found->id, run->name);
        run->began_ms = MAX_OF(run->began_ms, found->started_ms);
        take_id(run, found->id);
    } else if (err->rc != RC_NOT_FOUND) {
        engine_run_failed(run, RUN_FIND, err);
    } else if (++run->blind < FIND_LOOKS) {
        engine_run_wait(run);
    } else if (run->text.len > 0) {
        engine_run_then(run, RUN_START);
    } else {
        never_started(run);
    }
}

/* ---- START ---- */

static void on_started(const char *id, const struct err *err, void *arg)
{
    struct engine_run *run = arg;

    if (err == NULL) {
        log_note(LOG_AWS, "run %s of job '%s' is started for %u jobs", id, run->name,
                 run->job_count);
        take_id(run, id);
    } else if (err->rc == RC_THROTTLED) { /* too many runs: it has not begun, and it waits */
        engine_run_failed(run, RUN_START, err);
    } else {
        run->blind = 0;
        engine_run_failed(run, RUN_FIND, err);
    }
}

static void start(struct engine_run *run)
{
    struct services *services = run->lane->engine->services;
    scoped(free) char *plan = uri_format(services->processed->uri, run->plan_key);
    const struct sigv4_pair arguments[] = {{"--token", run->token}, {"--plan", plan}};

    engine_run_begins(run);
    glue_run_start(services->aws, run->name, arguments, ARRAY_LEN(arguments), on_started, run);
}

/* ---- FOLLOW ---- */

static void run_failed(struct engine_run *run, const struct glue_run *found)
{
    scoped(strbuf_done) struct strbuf why = {0};
    const char *state = glue_run_state_name(found->state);
    enum rc rc = RC_NETWORK;
    struct err err;

    if (found->state == GLUE_RUN_TIMEOUT || found->state == GLUE_RUN_EXPIRED) {
        rc = RC_TIMEOUT;
    } else if (found->state == GLUE_RUN_STOPPED) {
        rc = RC_CONFLICT;
    }
    strbuf_printable(&why, found->error[0] != '\0' ? found->error : "Glue does not say why");
    err_set(&err, rc, "run %.80s of job '%.80s' ended in %s: %.200s", found->id, run->name, state,
            strbuf_text(&why));
    engine_run_over(run, state, &err);
}

static void on_late(const struct err *err, void *arg)
{
    struct engine_run *run = arg;
    struct err late;

    if (err != NULL) {
        log_warn(LOG_AWS, "run %s of job '%s' was not stopped: %s", run->remote_id, run->name,
                 err->text);
    }
    err_set(&late, RC_TIMEOUT,
            "run %.80s of job '%.80s' took longer than 'glue.run_timeout' allows", run->remote_id,
            run->name);
    engine_run_over(run, "TIMEOUT", &late);
}

static void on_followed(const struct glue_run *found, const struct err *err, void *arg)
{
    struct engine_run *run = arg;
    struct services *services = run->lane->engine->services;

    if (err != NULL) {
        engine_run_failed(run, RUN_FOLLOW, err);
        return;
    }
    run->seen = glue_run_state_name(found->state);
    if (glue_run_state_ended(found->state)) {
        const bool well = found->state == GLUE_RUN_SUCCEEDED;
        scoped(free) char *group =
            str_printf("%s%s", found->log_group[0] != '\0' ? found->log_group : "/aws-glue/jobs",
                       well ? "/output" : "/error");

        run->dpu_seconds = found->dpu_seconds;
        engine_run_set_log(run, group, found->id);
        if (well) {
            run->poll_ms = 0;
            engine_run_then(run, RUN_MEASURE);
        } else {
            run_failed(run, found);
        }
    } else if (engine_run_is_late(run)) {
        glue_run_stop(services->aws, run->name, run->remote_id, on_late, run);
    } else {
        engine_run_wait(run);
    }
}

/* ---- MEASURE, RESULT ---- */

/** It says that it has succeeded, and that is all there is of it: its jobs are tried again. */
static void no_result(struct engine_run *run, const char *why)
{
    struct err err;

    err_set(&err, RC_NETWORK, "run %.80s of job '%.80s' left no result: %.200s", run->remote_id,
            run->name, why);
    engine_run_over(run, "FAILED", &err);
}

static void on_measured(const struct store_object *object, const struct err *err, void *arg)
{
    struct engine_run *run = arg;

    if (err != NULL && err->rc == RC_NOT_FOUND) {
        no_result(run, "there is none");
    } else if (err != NULL) {
        engine_run_failed(run, RUN_MEASURE, err);
    } else if (object->size > RUN_RESULT_MAX) {
        no_result(run, "it is larger than a result may be");
    } else {
        strbuf_reset(&run->text);
        free(run->bytes);
        run->bytes_len = (size_t)object->size;
        run->bytes = mem_resize(NULL, run->bytes_len + 1, 1);
        engine_run_then(run, RUN_RESULT);
    }
}

static void run_parse(void *arg)
{
    struct engine_run *run = arg;

    run->parsed.rc = RC_OK;
    (void)run_result_parse(run->bytes, run->bytes_len, run->token, &run->result, &run->parsed);
}

static void on_parsed(void *arg, bool canceled)
{
    struct engine_run *run = arg;

    (void)canceled;
    free(TAKE(run->bytes));
    if (run->result == NULL) {
        no_result(run, run->parsed.text);
    } else {
        engine_run_over(run, "SUCCEEDED", NULL);
    }
}

static void on_result(const struct err *err, void *arg)
{
    struct engine_run *run = arg;

    if (err != NULL && (err->rc == RC_NOT_FOUND || err->rc == RC_CORRUPT)) {
        engine_run_failed(run, RUN_MEASURE, &(struct err){.rc = RC_CHANGED, .text = "it changed"});
    } else if (err != NULL) {
        engine_run_failed(run, RUN_RESULT, err);
    } else {
        work_submit(run->lane->engine->services->work, WORK_CPU, run_parse, on_parsed, run);
    }
}

/* ---- STOP, CLOSE ---- */

static void on_stopped(const struct err *err, void *arg)
{
    struct engine_run *run = arg;

    if (err != NULL) {
        log_warn(LOG_AWS, "run %s of job '%s' was not stopped: %s", run->remote_id, run->name,
                 err->text);
    }
    engine_run_over(run, "STOPPED", NULL);
}

static void stop(struct engine_run *run)
{
    if (run->remote_id[0] != '\0') {
        glue_run_stop(run->lane->engine->services->aws, run->name, run->remote_id, on_stopped, run);
    } else {
        engine_run_over(run, "STOPPED", NULL);
    }
}

static void on_removed(const struct err *err, void *arg)
{
    struct engine_run *run = arg;

    if (err != NULL) {
        log_warn(LOG_AWS, "'%s' and its result were not removed: %s", run->plan_key, err->text);
    }
    engine_run_record(run, run->state, RUN_GONE);
}

/* ---- the story ---- */

void job_runner_advance(struct engine_run *run)
{
    struct services *services = run->lane->engine->services;

    run->asking = true;
    switch (run->step) {
    case RUN_RECORD: /* state.db: before anything is begun */
        engine_run_record(run, "NEW", RUN_PUT_PLAN);
        return;

    case RUN_PUT_PLAN: /* store: what there is to do */
        put_plan(run);
        return;

    case RUN_FIND: /* Glue: whether it was started */
        glue_run_find(services->aws, run->name, "--token", run->token, run->began_ms - SKEW_MS,
                      on_found, run);
        return;

    case RUN_START: /* Glue */
        start(run);
        return;

    case RUN_FOLLOW: /* Glue, again and again */
        glue_run_get(services->aws, run->name, run->remote_id, on_followed, run);
        return;

    case RUN_MEASURE: /* store: what it has left */
        store_head(services->processed, run->result_key, on_measured, run);
        return;

    case RUN_RESULT: /* store, a worker */
        store_get(services->processed, run->result_key, NULL, NULL, 0, run->bytes_len, run->bytes,
                  on_result, run);
        return;

    case RUN_STOP: /* Glue: nobody waits for it any more */
        stop(run);
        return;

    default: /* CLOSE, store: plan and result are of no more use */
        run->keys[0] = run->plan_key;
        run->keys[1] = run->result_key;
        store_remove(services->processed, run->keys, 2, on_removed, run);
        return;
    }
}
