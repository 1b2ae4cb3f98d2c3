/** @file
 * What the servers ask of the daemon.
 */
#include <string.h>

#include "daemon/daemon_p.h"
#include "daemon/job/job_events.h"
#include "daemon/job/job_queue.h"
#include "daemon/job/job_store.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/now.h"
#include "lib/store/uri.h"

/* ---- pause, drain */

void daemon_pause(struct daemon *daemon, bool paused)
{
    if (daemon->phase == DAEMON_STOPPING) {
        return;
    }
    log_note(LOG_DAEMON, "%s", paused ? "paused: no new stage starts" : "resumed");
    job_queue_pause(daemon->services.queue, paused);
    source_wake(daemon->source);
    if (!paused && daemon->phase != DAEMON_RUNNING) {
        source_pause(daemon->source, false);
        daemon_set_phase(daemon, DAEMON_RUNNING);
    }
}

void daemon_drain(struct daemon *daemon)
{
    if (daemon->phase != DAEMON_RUNNING) {
        return;
    }
    source_pause(daemon->source, true);
    daemon_set_phase(daemon, DAEMON_DRAINING);
}

/* ---- reload */

struct reload {
    struct daemon *daemon;
    struct conf *conf;
    struct err err;
    daemon_done_fn *done;
    void *arg;
};

static void reload_read(void *arg)
{
    struct reload *reload = arg;

    reload->err.rc = conf_load(reload->daemon->config_path, &reload->conf, &reload->err);
}

static void apply(struct daemon *daemon, struct conf *conf)
{
    scoped(strbuf_done) struct strbuf before = {0}, after = {0};

    selection_json(&daemon->services.conf->select, &before);
    selection_json(&conf->select, &after);
    daemon_use_conf(daemon, conf);
    budget_set_limit(daemon->services.budget, conf->extract_memory_bytes);
    source_reload(daemon->source);
    job_queue_poke(daemon->services.queue); /* there may be more slots */
    if (strcmp(strbuf_text(&before), strbuf_text(&after)) != 0) {
        job_queue_catalog_changed(daemon->services.queue);
    }
    daemon->reloaded_ms = now_wall_ms();
    daemon_set_error(daemon, NULL);
    log_note(LOG_CONF, "reloaded '%s'", daemon->config_path);
    job_events_publish(daemon->services.events, "daemon", "{\"reloaded\":true}");
}

static void reload_done(void *arg, bool canceled)
{
    struct reload *reload = arg;
    struct daemon *daemon = reload->daemon;
    const char *option = NULL;

    (void)canceled;
    if (reload->err.rc == RC_OK) {
        option = conf_needs_restart(daemon->services.conf, reload->conf);
    }
    if (option != NULL) {
        err_set(&reload->err, RC_INVALID, "'%s' has changed, which needs a restart", option);
    } else if (reload->err.rc == RC_OK && daemon->phase == DAEMON_STOPPING) {
        err_set(&reload->err, RC_CANCELED, "the daemon is stopping");
    }
    if (reload->err.rc == RC_OK) {
        apply(daemon, TAKE(reload->conf));
        reload->done(NULL, reload->arg);
    } else {
        err_wrap(&reload->err, "reload refused, the old configuration stays in force");
        log_error(LOG_CONF, "%s", reload->err.text);
        daemon_set_error(daemon, reload->err.text);
        reload->done(&reload->err, reload->arg);
    }
    daemon_notify_ready(daemon->notify);
    conf_free(reload->conf);
    free(reload);
}

void daemon_reload(struct daemon *daemon, daemon_done_fn *done, void *arg)
{
    struct reload *reload = mem_new(struct reload);

    *reload = (struct reload){.daemon = daemon, .done = done, .arg = arg};
    daemon_notify_reloading(daemon->notify);
    work_submit(daemon->services.work, WORK_FILE, reload_read, reload_done, reload);
}

/* ---- reconcile */

struct reconcile {
    struct daemon *daemon;
    daemon_reconciled_fn *done;
    void *arg;
};

static void reconcile_refused(void *arg)
{
    struct reconcile *reconcile = arg;
    struct err err;

    err_set(&err, RC_CANCELED, "the daemon is stopping");
    reconcile->done(NULL, &err, reconcile->arg);
    free(reconcile);
}

static void on_reconciled(const struct source_counts *counts, const struct err *err, void *arg)
{
    struct reconcile *reconcile = arg;
    struct daemon_reconciled result = {0};

    if (err == NULL) {
        result = (struct daemon_reconciled){.listed = counts->listed,
                                            .known = counts->known,
                                            .missing = counts->queued,
                                            .gone = counts->gone,
                                            .refused = counts->refused};
        reconcile->daemon->reconciled = result;
        reconcile->daemon->reconciled_ms = now_wall_ms();
    }
    reconcile->done(err == NULL ? &result : NULL, err, reconcile->arg);
    free(reconcile);
}

void daemon_reconcile(struct daemon *daemon, daemon_reconciled_fn *done, void *arg)
{
    struct reconcile *reconcile = mem_new(struct reconcile);

    *reconcile = (struct reconcile){.daemon = daemon, .done = done, .arg = arg};
    if (daemon->source == NULL) {
        loop_defer(daemon->services.loop, reconcile_refused, reconcile);
        return;
    }
    source_reconcile(daemon->source, on_reconciled, reconcile);
}

int64_t daemon_last_reconciled(const struct daemon *daemon, struct daemon_reconciled *ret_counts)
{
    *ret_counts = daemon->reconciled;
    return daemon->reconciled_ms;
}

/* ---- submit */

struct submit {
    struct daemon *daemon;
    char *key;
    struct err err;
    bool absent; /**< The store has no such object. */
    char *version, *etag;
    uint64_t size;
    int64_t modified_ms;
    char byte; /**< Of the version, if it may be read. */
    daemon_submitted_fn *done;
    void *arg;
};

enum rc daemon_key_of(const struct daemon *daemon, const char *text, char **ret_key,
                      struct err *err)
{
    const struct uri *root = daemon->services.raw->uri;
    scoped(uri_free) struct uri *uri = NULL;

    if (text[0] != '/' && strstr(text, "://") == NULL) {
        *ret_key = str_dup(text);
        return RC_OK;
    }
    if (uri_parse(text, "/", &uri, err) != RC_OK) {
        return err->rc;
    }
    const size_t len = strcmp(root->path, "/") == 0 ? 0 : strlen(root->path);
    const bool inside = uri->scheme == root->scheme && strcmp(uri->bucket, root->bucket) == 0 &&
                        strncmp(uri->path, root->path, len) == 0 &&
                        (uri->path[len] == '/' || (len == 0 && uri->path[0] != '\0'));

    if (!inside) {
        return err_set(err, RC_INVALID, "'%s' is not in the raw store '%s'", text,
                       daemon->services.conf->raw_uri);
    }
    *ret_key = str_dup(uri->path + len + (uri->path[len] == '/'));
    return RC_OK;
}

static void submit_end(struct submit *submit, const struct intake_result *result,
                       const struct err *err)
{
    submit->done(submit->key, result, err, submit->arg);
    free(submit->key);
    free(submit->version);
    free(submit->etag);
    free(submit);
}

static void on_submitted(const struct intake_result *results, unsigned count, const struct err *err,
                         void *arg)
{
    struct submit *submit = arg;

    (void)count;
    if (err == NULL && submit->absent && results[0].outcome == OUTCOME_IGNORED) {
        err_set(&submit->err, RC_NOT_FOUND, "'%s' is not in the raw store", submit->key);
        err = &submit->err;
    }
    submit_end(submit, err == NULL ? results : NULL, err);
}

static void submit_sight(struct submit *submit)
{
    const struct services *services = &submit->daemon->services;
    const struct sighting sighting = {.source = SIGHTING_SUBMIT,
                                      .bucket = store_bucket(services->raw),
                                      .key = submit->key,
                                      .version = submit->version != NULL ? submit->version : "",
                                      .etag = submit->etag != NULL ? submit->etag : "",
                                      .sequencer = "",
                                      .size = submit->size,
                                      .modified_ms = submit->modified_ms,
                                      .gone = submit->absent};

    intake_sight(services->intake, &sighting, 1, on_submitted, submit);
}

/** To read by a version needs a right of its own. Who has it not goes by the etag, as after a
 * listing; what else may be wrong the job will find. */
static void on_version(const struct err *err, void *arg)
{
    struct submit *submit = arg;

    if (err != NULL && err->rc == RC_DENIED) {
        free(TAKE(submit->version));
    }
    submit_sight(submit);
}

static void on_head(const struct store_object *object, const struct err *err, void *arg)
{
    struct submit *submit = arg;

    if (err != NULL && err->rc != RC_NOT_FOUND) {
        submit_end(submit, NULL, err);
        return;
    }
    if (err != NULL) {
        submit->absent = true;
        submit_sight(submit);
        return;
    }
    submit->version = str_dup(object->version);
    submit->etag = str_dup(object->etag);
    submit->size = object->size;
    submit->modified_ms = object->modified_ms;
    if (object->version[0] == '\0' || object->size == 0) {
        submit_sight(submit);
        return;
    }
    store_get(submit->daemon->services.raw, submit->key, submit->version, submit->etag, 0, 1,
              &submit->byte, on_version, submit);
}

static void submit_refused(void *arg)
{
    struct submit *submit = arg;

    submit_end(submit, NULL, &submit->err);
}

void daemon_submit(struct daemon *daemon, const char *uri, daemon_submitted_fn *done, void *arg)
{
    struct submit *submit = mem_new(struct submit);

    *submit = (struct submit){.daemon = daemon, .done = done, .arg = arg};
    if (daemon->phase != DAEMON_RUNNING) {
        err_set(&submit->err, RC_CONFLICT, "the daemon is %s; `sevirctl resume` opens it again",
                daemon_phase_name(daemon->phase));
    } else if (daemon_key_of(daemon, uri, &submit->key, &submit->err) == RC_OK &&
               uri_check_key(submit->key, &submit->err) == RC_OK) {
        store_head(daemon->services.raw, submit->key, on_head, submit);
        return;
    }
    loop_defer(daemon->services.loop, submit_refused, submit);
}

/* ---- status */

void daemon_status(const struct daemon *daemon, struct daemon_status *ret_status)
{
    const struct services *services = &daemon->services;
    struct source_status source = {.error = ""};

    if (daemon->source != NULL) {
        source_status(daemon->source, &source);
    }
    const bool quiet =
        daemon->phase == DAEMON_DRAINED || (daemon->source != NULL && source_idle(daemon->source));

    *ret_status = (struct daemon_status){
        .phase = daemon->phase,
        .paused = job_queue_paused(services->queue),
        .listed = source.listed,
        .idle = quiet && job_queue_idle(services->queue) && !intake_busy(services->intake),
        .started_ms = daemon->started_ms,
        .reloaded_ms = daemon->reloaded_ms,
        .config_path = daemon->config_path,
        .working = job_queue_working(services->queue),
        .quarantined_since_start = job_store_entered(services->jobs, JOB_QUARANTINED),
        .refused = job_store_refused(services->jobs),
        .recovered = job_store_recovered(services->jobs),
        .error = daemon->error != NULL ? daemon->error : source.error,
        .error_ms = daemon->error != NULL ? daemon->error_ms : source.error_ms,
    };
    for (unsigned s = 0; s < JOB_STATE_COUNT; s++) {
        ret_status->jobs[s] = job_store_count(services->jobs, s);
    }
}

bool daemon_queue(const struct daemon *daemon, unsigned index, struct source_queue *ret_queue)
{
    struct source_status status = {.error = ""};

    if (daemon->source == NULL) {
        return false;
    }
    source_status(daemon->source, &status);
    if (index >= status.queues) {
        return false;
    }
    source_queue_status(daemon->source, index, ret_queue);
    return true;
}

unsigned daemon_sources(const struct daemon *daemon, struct daemon_source ret[DAEMON_SOURCES])
{
    struct source_status status = {.error = ""};

    if (daemon->source == NULL) {
        return 0;
    }
    source_status(daemon->source, &status);
    ret[0] = (struct daemon_source){.name = "list",
                                    .on = true,
                                    .looking = status.listing,
                                    .counted = true,
                                    .looks = status.listings,
                                    .began_ms = status.list_began_ms,
                                    .ended_ms = status.list_ended_ms,
                                    .listed = status.last.listed,
                                    .known = status.last.known,
                                    .queued = status.last.queued,
                                    .gone = status.last.gone,
                                    .refused = status.last.refused,
                                    .settling = status.settling,
                                    .error = status.error,
                                    .error_ms = status.error_ms};
    ret[1] = (struct daemon_source){.name = "watch",
                                    .on = status.watching,
                                    .watches = status.watches,
                                    .overflows = status.overflows,
                                    .error = ""};
    return 2;
}
