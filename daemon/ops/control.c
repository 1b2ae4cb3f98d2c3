/** @file
 * What changes something: each asks the daemon, and answers when it has.
 */
#include <inttypes.h>

#include "daemon/job/job_queue.h"
#include "daemon/job/job_store.h"
#include "daemon/ops/ops_p.h"
#include "lib/base/mem.h"

#define SUBMIT_MAX 1000
#define AT_ONCE 64 /**< Wishes under way: one commit takes them all. */

/* ---- at once ----------------------------------------------------------------------------- */

void ops_post_pause(struct ops_call *call)
{
    daemon_pause(call->ops->daemon, true);
    ops_answer_done(call);
}

void ops_post_resume(struct ops_call *call)
{
    daemon_pause(call->ops->daemon, false);
    ops_answer_done(call);
}

void ops_post_drain(struct ops_call *call)
{
    daemon_drain(call->ops->daemon);
    ops_answer_done(call);
}

/* ---- later ------------------------------------------------------------------------------- */

static void on_done(const struct err *err, void *arg)
{
    struct ops_call *call = arg;

    if (err != NULL) {
        ops_problem_err(call, err);
    } else {
        ops_answer_done(call);
    }
}

void ops_post_reload(struct ops_call *call)
{
    daemon_reload(call->ops->daemon, on_done, call);
}

static void on_reconciled(const struct daemon_reconciled *counts, const struct err *err, void *arg)
{
    struct ops_call *call = arg;
    scoped(strbuf_done) struct strbuf body = {0};

    if (err != NULL) {
        ops_problem_err(call, err);
        return;
    }
    strbuf_printf(&body,
                  "{\"listed\":%" PRIu64 ",\"known\":%" PRIu64 ",\"missing\":%" PRIu64
                  ",\"gone\":%" PRIu64 ",\"refused\":%" PRIu64 "}\n",
                  counts->listed, counts->known, counts->missing, counts->gone, counts->refused);
    ops_answer_json(call, &body);
}

void ops_post_reconcile(struct ops_call *call)
{
    daemon_reconcile(call->ops->daemon, on_reconciled, call);
}

/* ---- one job ----------------------------------------------------------------------------- */

static void on_told(const struct err *err, void *arg)
{
    struct ops_call *call = arg;

    if (err != NULL && err->rc == RC_INVALID) { /* its state has no such edge */
        ops_problem(call, 409, "%s", err->text);
    } else {
        on_done(err, call);
    }
}

static void tell_job(struct ops_call *call, enum job_event event, const char *reason)
{
    uint64_t id;

    if (ops_id(call, &id)) {
        job_queue_tell(call->ops->services->queue, id, event, reason, on_told, call);
    }
}

void ops_post_retry(struct ops_call *call)
{
    tell_job(call, JOB_EV_RETRY, "asked for by an operator");
}

void ops_post_cancel(struct ops_call *call)
{
    tell_job(call, JOB_EV_CANCEL, "asked for by an operator");
}

/* ---- all jobs in a state ------------------------------------------------------------------ */

struct retry_all {
    struct ops_call *call;
    struct strbuf states; /**< ",DONE,SKIPPED," */
    int64_t *ids;         /**< The lane's until it is done. */
    size_t count, next;
    unsigned under_way;
    uint64_t retried, refused;
};

static void retry_all_free(struct retry_all *all)
{
    strbuf_done(&all->states);
    free(all->ids);
    free(all);
}

static enum rc read_ids(struct db *db, void *arg, struct err *err)
{
    struct retry_all *all = arg;
    struct db_stmt *q = db_prepare(db,
                                   "SELECT j.id FROM jobs j JOIN objects o ON o.job = j.id"
                                   " WHERE instr(?, ',' || j.state || ',') > 0 ORDER BY j.id",
                                   err);

    if (q == NULL) {
        return err->rc;
    }
    db_bind_text(q, 1, strbuf_text(&all->states));
    while (db_step(q, err)) {
        if ((all->count & (all->count - 1)) == 0) {
            all->ids = mem_resize(all->ids, MAX_OF(2 * all->count, (size_t)2), sizeof(int64_t));
        }
        all->ids[all->count++] = db_int(q, 0);
    }
    return db_failed(q) ? err->rc : RC_OK;
}

static void on_one_retried(const struct err *err, void *arg);

/** Keep AT_ONCE under way; answer after the last. */
static void retry_more(struct retry_all *all)
{
    struct ops_call *call = all->call;
    scoped(strbuf_done) struct strbuf body = {0};

    while (all->under_way < AT_ONCE && all->next < all->count) {
        all->under_way++;
        job_queue_tell(call->ops->services->queue, (uint64_t)all->ids[all->next++], JOB_EV_RETRY,
                       "asked for by an operator", on_one_retried, all);
    }
    if (all->under_way == 0) {
        strbuf_printf(&body, "{\"retried\":%" PRIu64 ",\"refused\":%" PRIu64 "}\n", all->retried,
                      all->refused);
        retry_all_free(all);
        ops_answer_json(call, &body);
    }
}

static void on_one_retried(const struct err *err, void *arg)
{
    struct retry_all *all = arg;

    all->under_way--;
    all->retried += err == NULL;
    all->refused += err != NULL;
    if (err != NULL && err->rc == RC_CANCELED) {
        all->next = all->count; /* the daemon stops */
    }
    retry_more(all);
}

static void on_ids(const struct err *err, void *arg)
{
    struct retry_all *all = arg;
    struct ops_call *call = all->call;

    if (err == NULL && call->ops->done == NULL) {
        ops_call_waited(call, false);
        retry_more(all);
        return;
    }
    retry_all_free(all);
    if (err != NULL) {
        ops_problem_err(call, err);
    } else {
        ops_problem(call, 503, "the daemon is stopping");
    }
}

/** The states that the body names, each one that has a way back to QUEUED. */
static bool read_states(struct ops_call *call, json_t *body, struct strbuf *states)
{
    json_t *list = json_object_get(body, "states");
    json_t *item;
    size_t i;

    strbuf_putc(states, ',');
    json_array_foreach(list, i, item)
    {
        const char *name = json_string_value(item);
        enum job_state from = JOB_STATE_COUNT;

        if (name == NULL || !job_state_parse(name, &from) ||
            job_edge_find(from, JOB_EV_RETRY, JOB_INGEST) == NULL) {
            ops_problem(call, 400, "'states': jobs cannot be retried from '%.40s'",
                        name != NULL ? name : "");
            return false;
        }
        strbuf_printf(states, "%s,", name);
    }
    if (json_array_size(list) == 0) {
        ops_problem(call, 400, "'states' must be a list of states, as [\"QUARANTINED\"]");
        return false;
    }
    return true;
}

void ops_post_retry_all(struct ops_call *call)
{
    json_t *body = ops_body(call);
    scoped(strbuf_done) struct strbuf states = {0};

    if (body == NULL) {
        return;
    }
    if (read_states(call, body, &states)) {
        struct retry_all *all = mem_new(struct retry_all);

        all->call = call;
        all->states = states;
        states = (struct strbuf){0};
        ops_call_waited(call, true);
        job_store_read(call->ops->services->jobs, read_ids, on_ids, all);
    }
    json_decref(body);
}

/* ---- submit ------------------------------------------------------------------------------ */

struct submission;

struct submitted {
    struct submission *of;
    const char *uri; /**< In `body`. */
    struct strbuf result;
};

struct submission {
    struct ops_call *call;
    json_t *body;
    struct submitted *items;
    size_t count, next;
    unsigned under_way;
};

static void submit_answer(struct submission *submission)
{
    struct ops_call *call = submission->call;
    scoped(strbuf_done) struct strbuf body = {0};

    strbuf_puts(&body, "{\"results\":[");
    for (size_t i = 0; i < submission->count; i++) {
        struct strbuf *result = &submission->items[i].result;
        strbuf_puts(&body, i > 0 ? ",\n" : "\n");
        strbuf_add(&body, strbuf_text(result), result->len);
        strbuf_done(result);
    }
    strbuf_puts(&body, "]}\n");
    json_decref(submission->body);
    free(submission->items);
    free(submission);
    ops_answer_json(call, &body);
}

static void submit_more(struct submission *submission);

static void on_submitted(const char *key, const struct intake_result *result, const struct err *err,
                         void *arg)
{
    struct submitted *item = arg;

    strbuf_puts(&item->result, "{\"uri\":");
    strbuf_json(&item->result, item->uri);
    if (err != NULL) {
        strbuf_puts(&item->result, ",\"error\":");
        strbuf_json(&item->result, err->text);
        strbuf_printf(&item->result, ",\"status\":%u}", ops_status_of(err->rc));
    } else {
        strbuf_puts(&item->result, ",\"key\":");
        strbuf_json(&item->result, key);
        strbuf_printf(&item->result, ",\"outcome\":\"%s\"", sighting_outcome_name(result->outcome));
        if (result->job != 0) {
            strbuf_printf(&item->result, ",\"job\":%" PRIu64, result->job);
        }
        strbuf_putc(&item->result, '}');
    }
    item->of->under_way--;
    submit_more(item->of);
}

static void submit_more(struct submission *submission)
{
    while (submission->under_way < AT_ONCE && submission->next < submission->count) {
        struct submitted *item = &submission->items[submission->next++];
        submission->under_way++;
        daemon_submit(submission->call->ops->daemon, item->uri, on_submitted, item);
    }
    if (submission->under_way == 0 && submission->next == submission->count) {
        submit_answer(submission);
    }
}

void ops_post_submit(struct ops_call *call)
{
    json_t *body = ops_body(call), *uris = json_object_get(body, "uris");
    const size_t count = json_array_size(uris);

    if (body == NULL) {
        return;
    }
    bool right = count >= 1 && count <= SUBMIT_MAX;
    for (size_t i = 0; i < count && right; i++) {
        right = json_is_string(json_array_get(uris, i));
    }
    if (!right) {
        json_decref(body);
        ops_problem(call, 400, "'uris' must be a list of 1 to %d strings", SUBMIT_MAX);
        return;
    }
    struct submission *submission = mem_new(struct submission);
    *submission = (struct submission){.call = call,
                                      .body = body,
                                      .items = mem_zeroed(count * sizeof(struct submitted)),
                                      .count = count};
    for (size_t i = 0; i < count; i++) {
        submission->items[i].of = submission;
        submission->items[i].uri = json_string_value(json_array_get(uris, i));
    }
    submit_more(submission);
}
