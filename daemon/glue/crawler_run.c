/** @file
 * A run of the crawler. Read crawler_run_advance() from top to bottom: it is the whole story.
 *
 * StartCrawler answers no id. So nothing is started before the crawler was seen READY, and when the
 * crawl before ours began is kept: a later one is ours, or somebody else's that began after our
 * objects were there, which is as good.
 */
#include <string.h>

#include "daemon/glue/glue_p.h"
#include "lib/base/log.h"
#include "lib/base/str.h"

#define BLIND_LOOKS 5

/* ---- READY: it may be at work for others, whose crawl began before our objects came ---- */

static void on_looked(const struct glue_crawler *crawler, const struct err *err, void *arg)
{
    struct engine_run *run = arg;

    if (err != NULL) {
        engine_run_failed(run, RUN_READY, err);
    } else if (crawler->state != GLUE_READY) {
        engine_run_wait(run);
    } else {
        run->after_ms = crawler->last_started_ms;
        engine_run_then(run, RUN_RECORD);
    }
}

/* ---- START ---- */

static void on_started(const struct err *err, void *arg)
{
    struct engine_run *run = arg;

    if (err != NULL && err->rc != RC_CONFLICT) {
        engine_run_failed(run, RUN_FOLLOW, err); /* which finds out whether it began */
        return;
    }
    run->acknowledged = true;
    run->poll_ms = 0;
    log_note(LOG_AWS, "crawler '%s' %s for %u jobs", run->name,
             err == NULL ? "is started" : "has just been started by somebody else, as well",
             run->job_count);
    engine_run_record(run, "STARTED", RUN_FOLLOW);
}

/* ---- FOLLOW ---- */

/** What is wrong with the crawler's own access is mended by an operator, and no object's fault. */
enum rc crawler_run_class(const char *text)
{
    static const char *const access[] = {"AccessDenied", "Access Denied", "not authorized",
                                         "AccessDeniedException", "Insufficient Lake Formation"};

    for (unsigned i = 0; i < sizeof(access) / sizeof(access[0]); i++) {
        if (strstr(text, access[i]) != NULL) {
            return RC_HOST;
        }
    }
    return RC_NETWORK;
}

static void crawl_ended(struct engine_run *run, const struct glue_crawler *crawler)
{
    scoped(strbuf_done) struct strbuf why = {0};
    struct err err;

    engine_run_set_log(run, crawler->log_group, crawler->log_stream);
    switch (crawler->last_status) {
    case GLUE_CRAWL_NONE:
    case GLUE_CRAWL_SUCCEEDED:
        engine_run_over(run, "SUCCEEDED", NULL);
        return;
    case GLUE_CRAWL_CANCELLED:
        err_set(&err, RC_CONFLICT, "the crawl of '%.150s' was stopped by somebody", run->name);
        engine_run_over(run, "CANCELLED", &err);
        return;
    case GLUE_CRAWL_FAILED:
        strbuf_printable(&why, crawler->last_error[0] != '\0' ? crawler->last_error
                                                              : "it does not say why");
        err_set(&err, crawler_run_class(crawler->last_error),
                "the crawl of '%.100s' has failed: %.250s", run->name, strbuf_text(&why));
        engine_run_over(run, "FAILED", &err);
        return;
    }
}

static void on_late(const struct err *err, void *arg)
{
    struct engine_run *run = arg;
    struct err late;

    (void)err; /* it may have ended just now */
    err_set(&late, RC_TIMEOUT, "the crawl of '%.150s' took longer than 'glue.run_timeout' allows",
            run->name);
    engine_run_over(run, "TIMEOUT", &late);
}

/** READY, and nothing of ours is seen. */
static void nothing_seen(struct engine_run *run)
{
    struct err err;

    if (!run->acknowledged) { /* the start was lost, or the last daemon died before it */
        engine_run_then(run, RUN_START);
    } else if (++run->blind < BLIND_LOOKS) {
        engine_run_wait(run);
    } else {
        err_set(&err, RC_NETWORK, "the crawl of '%.150s' was started, but nothing is known of it",
                run->name);
        engine_run_over(run, "FAILED", &err);
    }
}

static void on_followed(const struct glue_crawler *crawler, const struct err *err, void *arg)
{
    static const char *const names[] = {"READY", "RUNNING", "STOPPING"};
    struct engine_run *run = arg;

    if (err == NULL && run->acknowledged) {
        run->seen = names[crawler->state];
    }
    if (err != NULL) {
        engine_run_failed(run, RUN_FOLLOW, err);
    } else if (crawler->state == GLUE_READY && crawler->last_started_ms > run->after_ms) {
        crawl_ended(run, crawler);
    } else if (crawler->state == GLUE_READY) {
        nothing_seen(run);
    } else if (engine_run_is_late(run)) {
        run->asking = true;
        glue_crawler_stop(run->lane->engine->services->aws, run->name, on_late, run);
    } else {
        engine_run_wait(run);
    }
}

/* ---- STOP ---- */

static void on_stopped(const struct err *err, void *arg)
{
    struct engine_run *run = arg;

    if (err != NULL && err->rc != RC_CONFLICT) {
        log_warn(LOG_AWS, "crawler '%s' was not stopped: %s", run->name, err->text);
    }
    engine_run_over(run, "STOPPED", NULL);
}

/* ---- the story ---- */

void crawler_run_advance(struct engine_run *run)
{
    struct aws *aws = run->lane->engine->services->aws;

    run->asking = true;
    switch (run->step) {
    case RUN_READY: /* Glue: nobody else's crawl is under way */
        glue_crawler_get(aws, run->name, on_looked, run);
        return;

    case RUN_RECORD: /* state.db: before it is started; whoever has come meanwhile is in it */
        glue_gather_into(run);
        engine_run_record(run, "NEW", RUN_START);
        return;

    case RUN_START: /* Glue */
        engine_run_begins(run);
        glue_crawler_start(aws, run->name, on_started, run);
        return;

    case RUN_FOLLOW: /* Glue, again and again */
        glue_crawler_get(aws, run->name, on_followed, run);
        return;

    case RUN_STOP: /* Glue: nobody waits for it any more */
        if (run->acknowledged) {
            glue_crawler_stop(aws, run->name, on_stopped, run);
        } else {
            engine_run_over(run, "STOPPED", NULL);
        }
        return;

    default: /* CLOSE: it has left nothing */
        engine_run_record(run, run->state, RUN_GONE);
        return;
    }
}
