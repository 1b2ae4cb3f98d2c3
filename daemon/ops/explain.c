/** @file
 * The whole story of an object: sightings, jobs with every transition, outputs; or why there is no
 * job.
 *
 * One task of the catalog's read lane, whose connections have state.db attached as `state`.
 */
#include <inttypes.h>

#include "daemon/catalog/catalog.h"
#include "daemon/job/job_store.h"
#include "daemon/ops/jobs.h"
#include "lib/base/mem.h"
#include "lib/store/file_path.h"

#define OUTPUTS_SHOWN 1000
#define JOBS_SHOWN 50

struct story {
    struct ops_call *call;
    uint64_t job; /**< Of this one alone; 0: of the object. */
    char *bucket, *key, *uri;
    /* the lane's until it is done */
    struct strbuf object, sightings, jobs, outputs, verdict;
    int64_t object_id, newest_job, output_count;
};

static void story_free(struct story *story)
{
    free(story->bucket);
    free(story->key);
    free(story->uri);
    strbuf_done(&story->object);
    strbuf_done(&story->sightings);
    strbuf_done(&story->jobs);
    strbuf_done(&story->outputs);
    strbuf_done(&story->verdict);
    free(story);
}

static void add_text(struct strbuf *out, const char *name, const char *text)
{
    strbuf_printf(out, ",\"%s\":", name);
    strbuf_json(out, text);
}

static enum rc read_object(struct db *db, struct story *story, struct err *err)
{
    struct db_stmt *q = db_prepare(db,
                                   "SELECT id, size, etag, version, live, first_ms, changed_ms,"
                                   " modified_ms, job FROM state.objects"
                                   " WHERE bucket = ?1 AND key = ?2",
                                   err);

    if (q == NULL) {
        return err->rc;
    }
    db_bind_text(q, 1, story->bucket);
    db_bind_text(q, 2, story->key);
    while (db_step(q, err)) {
        story->object_id = db_int(q, 0);
        story->newest_job = db_int(q, 8);
        strbuf_printf(&story->object, "{\"size\":%" PRId64, db_int(q, 1));
        add_text(&story->object, "etag", db_text(q, 2));
        add_text(&story->object, "version", db_text(q, 3));
        strbuf_printf(&story->object,
                      ",\"live\":%s,\"first\":", db_int(q, 4) != 0 ? "true" : "false");
        ops_time_json(&story->object, db_int(q, 5));
        strbuf_puts(&story->object, ",\"changed\":");
        ops_time_json(&story->object, db_int(q, 6));
        strbuf_puts(&story->object, ",\"modified\":");
        ops_time_json(&story->object, db_int(q, 7));
        strbuf_putc(&story->object, '}');
    }
    return db_failed(q) ? err->rc : RC_OK;
}

static enum rc read_sightings(struct db *db, struct story *story, struct err *err)
{
    struct db_stmt *q = db_prepare(db,
                                   "SELECT at_ms, source, outcome, gone, etag, size, job"
                                   " FROM state.sightings WHERE object = ?1 ORDER BY id",
                                   err);

    if (q == NULL) {
        return err->rc;
    }
    db_bind_int(q, 1, story->object_id);
    while (db_step(q, err)) {
        strbuf_puts(&story->sightings, story->sightings.len > 0 ? ",\n{\"at\":" : "\n{\"at\":");
        ops_time_json(&story->sightings, db_int(q, 0));
        add_text(&story->sightings, "source", db_text(q, 1));
        add_text(&story->sightings, "outcome", db_text(q, 2));
        strbuf_printf(&story->sightings, ",\"gone\":%s", db_int(q, 3) != 0 ? "true" : "false");
        add_text(&story->sightings, "etag", db_text(q, 4));
        strbuf_printf(&story->sightings, ",\"size\":%" PRId64 ",\"job\":%" PRId64 "}", db_int(q, 5),
                      db_int(q, 6));
    }
    return db_failed(q) ? err->rc : RC_OK;
}

static enum rc read_transitions(struct db *db, int64_t job, struct strbuf *out, struct err *err)
{
    struct db_stmt *q =
        db_prepare(db,
                   "SELECT at_ms, from_state, to_state, event, after_ms, actor, reason, class,"
                   " request_ids FROM state.transitions WHERE job = ?1 ORDER BY id",
                   err);
    bool any = false;

    if (q == NULL) {
        return err->rc;
    }
    db_bind_int(q, 1, job);
    while (db_step(q, err)) {
        strbuf_puts(out, any ? ",\n{\"at\":" : "\n{\"at\":");
        any = true;
        ops_time_json(out, db_int(q, 0));
        add_text(out, "from", db_text(q, 1));
        add_text(out, "to", db_text(q, 2));
        add_text(out, "event", db_text(q, 3));
        strbuf_printf(out, ",\"after_ms\":%" PRId64, db_int(q, 4));
        add_text(out, "actor", db_text(q, 5));
        add_text(out, "reason", db_text(q, 6));
        add_text(out, "class", db_text(q, 7));
        add_text(out, "request_ids", db_text(q, 8));
        strbuf_putc(out, '}');
    }
    return db_failed(q) ? err->rc : RC_OK;
}

/** Runs of remote engines that the job was in. */
static enum rc read_runs(struct db *db, int64_t job, struct strbuf *out, struct err *err)
{
    struct db_stmt *q =
        db_prepare(db,
                   "SELECT kind, name, remote_id, state, began_ms, ended_ms, error, log_url,"
                   " dpu_seconds FROM state.run_jobs JOIN state.runs ON runs.id = run_jobs.run"
                   " WHERE run_jobs.job = ?1 ORDER BY runs.id",
                   err);
    bool any = false;

    if (q == NULL) {
        return err->rc;
    }
    db_bind_int(q, 1, job);
    while (db_step(q, err)) {
        strbuf_printf(out, "%s\n{\"kind\":\"%s\"", any ? "," : "", db_text(q, 0));
        any = true;
        add_text(out, "name", db_text(q, 1));
        add_text(out, "id", db_text(q, 2));
        add_text(out, "state", db_text(q, 3));
        strbuf_puts(out, ",\"began\":");
        ops_time_json(out, db_int(q, 4));
        strbuf_puts(out, ",\"ended\":");
        ops_time_json(out, db_is_null(q, 5) ? 0 : db_int(q, 5));
        add_text(out, "error", db_text(q, 6));
        add_text(out, "log", db_text(q, 7));
        strbuf_puts(out, ",\"dpu_seconds\":");
        strbuf_double(out, db_is_null(q, 8) ? 0 : db_double(q, 8));
        strbuf_putc(out, '}');
    }
    return db_failed(q) ? err->rc : RC_OK;
}

/** Jobs of the object, newest first; one job alone when the story is of one. */
static enum rc read_jobs(struct db *db, struct story *story, struct err *err)
{
    struct db_stmt *q =
        story->job != 0
            ? db_prepare(db, "SELECT " OPS_JOB_COLUMNS " FROM state.jobs WHERE id = ?1 LIMIT ?2",
                         err)
            : db_prepare(db,
                         "SELECT " OPS_JOB_COLUMNS
                         " FROM state.jobs WHERE object = ?1 ORDER BY id DESC LIMIT ?2",
                         err);

    if (q == NULL) {
        return err->rc;
    }
    db_bind_int(q, 1, story->job != 0 ? (int64_t)story->job : story->object_id);
    db_bind_int(q, 2, JOBS_SHOWN);
    while (db_step(q, err)) {
        if (story->jobs.len == 0) {
            strbuf_printf(&story->verdict, "job %" PRId64 " is %s", db_int(q, 0), db_text(q, 10));
            strbuf_printf(&story->verdict, db_text(q, 17)[0] != '\0' ? ": %s" : "%s",
                          db_text(q, 17));
        }
        strbuf_puts(&story->jobs, story->jobs.len > 0 ? ",\n" : "\n");
        ops_add_job(&story->jobs, q);
        strbuf_puts(&story->jobs, ",\"transitions\":[");
        if (read_transitions(db, db_int(q, 0), &story->jobs, err) != RC_OK) {
            db_reset(q);
            return err->rc;
        }
        strbuf_puts(&story->jobs, "],\"runs\":[");
        if (read_runs(db, db_int(q, 0), &story->jobs, err) != RC_OK) {
            db_reset(q);
            return err->rc;
        }
        strbuf_puts(&story->jobs, "]}");
    }
    return db_failed(q) ? err->rc : RC_OK;
}

static enum rc read_outputs(struct db *db, struct story *story, struct err *err)
{
    struct db_stmt *q = db_prepare(db,
                                   "SELECT key, kind, bytes, sha256, job FROM outputs"
                                   " WHERE bucket = ?1 AND source = ?2 ORDER BY key",
                                   err);

    if (q == NULL) {
        return err->rc;
    }
    db_bind_text(q, 1, story->bucket);
    db_bind_text(q, 2, story->key);
    while (db_step(q, err)) {
        if (story->output_count++ >= OUTPUTS_SHOWN) {
            continue;
        }
        strbuf_puts(&story->outputs, story->outputs.len > 0 ? ",\n{\"key\":" : "\n{\"key\":");
        strbuf_json(&story->outputs, db_text(q, 0));
        add_text(&story->outputs, "kind", db_text(q, 1));
        strbuf_printf(&story->outputs, ",\"bytes\":%" PRId64, db_int(q, 2));
        add_text(&story->outputs, "sha256", db_text(q, 3));
        strbuf_printf(&story->outputs, ",\"job\":%" PRId64 "}", db_int(q, 4));
    }
    return db_failed(q) ? err->rc : RC_OK;
}

/** Why there is no job. */
static enum rc read_refusal(struct db *db, struct story *story, struct err *err)
{
    struct db_stmt *q =
        db_prepare(db, "SELECT reason FROM state.refused WHERE bucket = ?1 AND key = ?2", err);

    if (q == NULL) {
        return err->rc;
    }
    db_bind_text(q, 1, story->bucket);
    db_bind_text(q, 2, story->key);
    while (db_step(q, err)) {
        strbuf_reset(&story->verdict);
        strbuf_printf(&story->verdict, "there is no job: its key breaks a rule: %s", db_text(q, 0));
    }
    return db_failed(q) ? err->rc : RC_OK;
}

static enum rc find_job(struct db *db, struct story *story, struct err *err)
{
    struct db_stmt *q =
        db_prepare(db, "SELECT bucket, key, object FROM state.jobs WHERE id = ?1", err);

    if (q == NULL) {
        return err->rc;
    }
    db_bind_int(q, 1, (int64_t)story->job);
    while (db_step(q, err)) {
        story->bucket = str_dup(db_text(q, 0));
        story->key = str_dup(db_text(q, 1));
    }
    if (db_failed(q)) {
        return err->rc;
    }
    if (story->key == NULL) {
        return err_set(err, RC_NOT_FOUND, "there is no job %" PRIu64, story->job);
    }
    return RC_OK;
}

static enum rc read_story(struct db *db, void *arg, struct err *err)
{
    struct story *story = arg;

    if (story->job != 0 && find_job(db, story, err) != RC_OK) {
        return err->rc;
    }
    if (read_object(db, story, err) != RC_OK || read_sightings(db, story, err) != RC_OK ||
        read_jobs(db, story, err) != RC_OK || read_outputs(db, story, err) != RC_OK) {
        return err->rc;
    }
    if (story->jobs.len > 0) {
        return RC_OK;
    }
    if (story->object_id != 0) {
        strbuf_puts(&story->verdict, "there is no job: it was sighted, and nothing had to be done");
    }
    return read_refusal(db, story, err);
}

static void answer(struct story *story)
{
    struct ops_call *call = story->call;
    scoped(strbuf_done) struct strbuf body = {0};
    scoped(free) char *uri = uri_format(call->ops->services->raw->uri, story->key);

    strbuf_puts(&body, "{\"uri\":");
    strbuf_json(&body, uri);
    add_text(&body, "bucket", story->bucket);
    add_text(&body, "key", story->key);
    add_text(&body, "verdict", strbuf_text(&story->verdict));
    strbuf_printf(&body, ",\"object\":%s,\"sightings\":[%s],\n\"jobs\":[",
                  story->object.len > 0 ? strbuf_text(&story->object) : "null",
                  strbuf_text(&story->sightings));
    strbuf_add(&body, strbuf_text(&story->jobs), story->jobs.len);
    strbuf_printf(&body, "],\n\"output_count\":%" PRId64 ",\"outputs\":[", story->output_count);
    strbuf_add(&body, strbuf_text(&story->outputs), story->outputs.len);
    strbuf_puts(&body, "]}\n");
    story_free(story);
    ops_answer_json(call, &body);
}

/** A directory's hidden names are no objects, whether they are there or not. */
static bool is_left_out(const struct story *story)
{
    return story->call->ops->services->raw->uri->scheme == URI_FILE && file_path_hidden(story->key);
}

/** Nothing on record: what the store says now is the rest of the answer. */
static void on_head(const struct store_object *object, const struct err *err, void *arg)
{
    struct story *story = arg;

    if (err == NULL) {
        strbuf_printf(&story->verdict,
                      "there is no job: the store has it (%" PRIu64
                      " bytes), and no source has sighted it yet",
                      object->size);
    } else if (err->rc == RC_NOT_FOUND && is_left_out(story)) {
        strbuf_puts(&story->verdict, "there is no job: names that begin with '.' are left out");
    } else if (err->rc == RC_NOT_FOUND) {
        strbuf_puts(&story->verdict, "there is no job: the store has no such object");
    } else {
        strbuf_printf(&story->verdict, "there is no job: the store was asked: %s", err->text);
    }
    answer(story);
}

static void on_story(const struct err *err, void *arg)
{
    struct story *story = arg;
    struct ops_call *call = story->call;

    if (err != NULL) {
        story_free(story);
        ops_problem_err(call, err);
    } else if (story->verdict.len == 0) {
        store_head(call->ops->services->raw, story->key, on_head, story);
    } else {
        answer(story);
    }
}

static void tell(struct ops_call *call, uint64_t job, char *key)
{
    struct story *story = mem_new(struct story);

    *story = (struct story){.call = call, .job = job, .key = key};
    if (key != NULL) {
        story->bucket = str_dup(store_bucket(call->ops->services->raw));
    }
    catalog_read(call->ops->services->catalog, read_story, on_story, story);
}

void ops_get_job(struct ops_call *call)
{
    uint64_t job;

    if (ops_id(call, &job)) {
        tell(call, job, NULL);
    }
}

void ops_get_explain(struct ops_call *call)
{
    const char *uri = http_request_arg(call->request, "uri");
    struct err err;
    char *key;

    if (uri == NULL || *uri == '\0') {
        ops_problem(call, 400, "'uri' is missing: /v1/explain?uri=URI");
    } else if (daemon_key_of(call->ops->daemon, uri, &key, &err) != RC_OK) {
        ops_problem_err(call, &err);
    } else {
        tell(call, 0, key);
    }
}
