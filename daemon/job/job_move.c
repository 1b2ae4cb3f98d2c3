/** @file
 * The one way a job changes state: record it, and when that is durable, tell it.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#include "daemon/job/job_draft.h"
#include "daemon/job/job_events.h"
#include "daemon/job/job_lease.h"
#include "daemon/job/job_p.h"
#include "daemon/metrics.h"
#include "daemon/services.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/now.h"

/** A move on its way through the writer. */
struct move {
    struct job *job;
    struct job_moved moved;
    struct job_moved_row row;
    char *reason, *actor, *request_ids, *rows_digest;
    enum rc (*also)(struct db *state, const struct job *job, void *arg, struct err *err);
    void *also_arg;
    job_moved_fn *done;
    void *arg;
    struct err refused; /**< Of a move that was never submitted. */
};

static void move_free(struct move *move)
{
    free(move->reason);
    free(move->actor);
    free(move->request_ids);
    free(move->rows_digest);
    free(move);
}

static enum rc record_row(struct db *db, const struct job_moved *moved,
                          const struct job_moved_row *row, struct err *err)
{
    /* A run that an operator or a new catalog asks for counts its lag from then. */
    const bool again = moved->on == JOB_EV_RETRY || moved->on == JOB_EV_REVISED;
    struct db_stmt *q = db_prepare(
        db,
        "UPDATE jobs SET state = ?3, resume = ?4, failures = ?5, entered_ms = ?6,"
        " retry_at_ms = ?7, kind = ?8, tbl = ?9, rows_digest = ?10, reason = ?11, class = ?12,"
        " event_ms = CASE WHEN ?13 THEN ?6 ELSE event_ms END"
        " WHERE id = ?1 AND state = ?2",
        err);

    if (q == NULL) {
        return err->rc;
    }
    db_bind_int(q, 1, (int64_t)moved->id);
    db_bind_text(q, 2, job_state_name(moved->from));
    db_bind_text(q, 3, job_state_name(moved->to));
    db_bind_text(q, 4, job_state_name(row->resume));
    db_bind_int(q, 5, row->failures);
    db_bind_int(q, 6, moved->at_ms);
    if (row->retry_at_ms != 0) {
        db_bind_int(q, 7, row->retry_at_ms);
    } else {
        db_bind_null(q, 7);
    }
    db_bind_text(q, 8, row->kind);
    db_bind_text(q, 9, row->table);
    db_bind_text(q, 10, row->rows_digest);
    db_bind_text(q, 11, moved->reason);
    db_bind_text(q, 12, moved->rc != RC_OK ? rc_name(moved->rc) : "");
    db_bind_int(q, 13, again);
    if (db_run(q, err) != RC_OK) {
        return err->rc;
    }
    if (db_changes(db) != 1) {
        return err_set(err, RC_CONFLICT, "job %" PRIu64 " is no longer %s", moved->id,
                       job_state_name(moved->from));
    }
    return RC_OK;
}

static enum rc record_transition(struct db *db, const struct job_moved *moved, struct err *err)
{
    struct db_stmt *q = db_prepare(
        db,
        "INSERT INTO transitions(job, at_ms, from_state, to_state, event, after_ms, actor,"
        " reason, class, request_ids) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        err);

    if (q == NULL) {
        return err->rc;
    }
    db_bind_int(q, 1, (int64_t)moved->id);
    db_bind_int(q, 2, moved->at_ms);
    db_bind_text(q, 3, job_state_name(moved->from));
    db_bind_text(q, 4, job_state_name(moved->to));
    db_bind_text(q, 5, job_event_name(moved->on));
    db_bind_int(q, 6, moved->after_ms);
    db_bind_text(q, 7, moved->actor);
    db_bind_text(q, 8, moved->reason);
    db_bind_text(q, 9, moved->rc != RC_OK ? rc_name(moved->rc) : "");
    db_bind_text(q, 10, moved->request_ids);
    return db_run(q, err);
}

/** Once a crawl begins, something may be made of the object: its end will need a job. Once what was
 * made is removed, it will not. */
static enum rc record_made(struct db *db, const struct job_moved *moved, struct err *err)
{
    if (moved->to != JOB_CRAWLING && moved->to != JOB_RETIRED) {
        return RC_OK;
    }
    struct db_stmt *q =
        db_prepare(db,
                   "UPDATE objects SET made = ?2"
                   " WHERE id = (SELECT object FROM jobs WHERE id = ?1) AND made <> ?2",
                   err);

    if (q == NULL) {
        return err->rc;
    }
    db_bind_int(q, 1, (int64_t)moved->id);
    db_bind_int(q, 2, moved->to == JOB_CRAWLING);
    return db_run(q, err);
}

/** The draft of a job that has ended, or begins anew, is of no more use. */
static enum rc drop_draft(struct db *db, const struct job_moved *moved, struct err *err)
{
    const bool may_have_one =
        moved->from == JOB_EXTRACTED || moved->from == JOB_PUBLISHING || moved->from == JOB_BACKOFF;

    if (!may_have_one || (job_state_kind(moved->to) != JOB_KIND_END && moved->to != JOB_QUEUED)) {
        return RC_OK;
    }
    return job_draft_remove(db, moved->id, err);
}

enum rc job_record(struct db *db, const struct job_moved *moved, const struct job_moved_row *row,
                   struct err *err)
{
    if (record_row(db, moved, row, err) != RC_OK || record_transition(db, moved, err) != RC_OK ||
        record_made(db, moved, err) != RC_OK || drop_draft(db, moved, err) != RC_OK) {
        return err->rc;
    }
    return RC_OK;
}

/** The rest a job resumes from, once it has moved. */
static enum job_state resume_after(const struct job *job, enum job_state to)
{
    return to == JOB_QUEUED || to == JOB_CRAWLED || to == JOB_EXTRACTED ? to : job->resume;
}

static unsigned failures_after(const struct job *job, enum job_event event, enum rc rc, bool waits)
{
    switch (event) {
    case JOB_EV_DEFERRED:
        /* A full disk says nothing about the job: it must not use up its attempts. */
        return waits || rc == RC_NO_SPACE || rc == RC_HOST ? job->failures : job->failures + 1;
    case JOB_EV_REJECTED:
        return job->failures + 1;
    case JOB_EV_STARTED:
    case JOB_EV_STOPPED:
    case JOB_EV_RETRY_DUE:
    case JOB_EV_OVERTAKEN:
    case JOB_EV_CANCEL:
        return job->failures;
    default:
        return 0;
    }
}

enum rc job_record_rest(struct db *db, const struct job *job, enum job_event on, const char *actor,
                        const char *reason, struct job_moved *ret_moved, struct err *err)
{
    const struct job_edge *edge = job_edge_find(job->state, on, job->action);
    const int64_t now_ms = now_wall_ms();

    if (edge == NULL) {
        return err_set(err, RC_BUG, "job %" PRIu64 ": no edge from %s on %s", job->id,
                       job_state_name(job->state), job_event_name(on));
    }
    const enum job_state to = edge->to == JOB_RESUME ? job->resume : edge->to;
    const struct job_moved_row row = {.resume = resume_after(job, to),
                                      .failures = failures_after(job, on, RC_OK, false),
                                      .kind = job->kind,
                                      .table = job->table,
                                      .rows_digest = job->rows_digest};

    *ret_moved = (struct job_moved){.id = job->id,
                                    .action = job->action,
                                    .from = job->state,
                                    .to = to,
                                    .on = on,
                                    .key = job->object.key,
                                    .reason = reason,
                                    .actor = actor,
                                    .request_ids = "",
                                    .at_ms = now_ms,
                                    .after_ms = MAX_OF(now_ms - job->entered_ms, 0),
                                    .event_ms = job->event_ms};
    return job_record(db, ret_moved, &row, err);
}

static struct job_news news_of(const struct job_moved *moved)
{
    return (struct job_news){.job = moved->id,
                             .action = moved->action,
                             .from = moved->from,
                             .to = moved->to,
                             .key = moved->key,
                             .reason = moved->reason,
                             .rc = moved->rc};
}

static enum rc move_record(struct db *db, void *arg, struct err *err)
{
    struct move *move = arg;
    struct job_news news = news_of(&move->moved);

    news.outputs = move->job->outputs;
    if (job_record(db, &move->moved, &move->row, err) != RC_OK ||
        job_watch_record(db, move->job->store, &news, err) != RC_OK) {
        return err->rc;
    }
    return move->also != NULL ? move->also(db, move->job, move->also_arg, err) : RC_OK;
}

/** What holds in every state. */
static void check(const struct job *job)
{
    assert(job->state < JOB_STATE_COUNT);
    assert(job->resume == JOB_QUEUED || job->resume == JOB_CRAWLED || job->resume == JOB_EXTRACTED);
}

static void move_done(const struct err *err, void *arg)
{
    struct move *move = arg;
    struct job *job = move->job;

    if (err == NULL) {
        job_store_crash_at(job->store, "", job_state_name(move->moved.to));
        job->state = move->moved.to;
        job->resume = move->row.resume;
        job->failures = move->row.failures;
        job->entered_ms = move->moved.at_ms;
        job->entered_mono_ms = now_mono_ms();
        snprintf(job->rows_digest, sizeof(job->rows_digest), "%s", move->row.rows_digest);
        strbuf_done(&job->draft); /* on record now, or of no use to where it went */
        check(job);
        job_observe(job->store, &move->moved);
    }
    if (move->done != NULL) {
        move->done(job, err, move->arg);
    }
    move_free(move);
}

static void move_refused(void *arg)
{
    struct move *move = arg;

    move_done(&move->refused, move);
}

static void fill(struct move *move, const struct job_edge *edge, const struct job_note *note)
{
    struct job *job = move->job;
    const enum job_state to = edge->to == JOB_RESUME ? job->resume : edge->to;
    const int64_t now_ms = now_wall_ms();
    const int64_t after_ms =
        job->entered_mono_ms != 0 ? now_mono_ms() - job->entered_mono_ms : now_ms - job->entered_ms;

    move->reason = str_dup(note->reason != NULL ? note->reason : "");
    move->actor = str_dup(note->actor != NULL ? note->actor : "daemon");
    move->request_ids = str_dup(note->request_ids != NULL ? note->request_ids : "");
    move->rows_digest = str_dup(note->rows_digest != NULL ? note->rows_digest : job->rows_digest);
    move->also = note->also;
    move->also_arg = note->also_arg;
    move->moved = (struct job_moved){
        .id = job->id,
        .action = job->action,
        .from = job->state,
        .to = to,
        .on = edge->on,
        .key = job->object.key,
        .reason = move->reason,
        .actor = move->actor,
        .request_ids = move->request_ids,
        .rc = note->rc,
        .at_ms = now_ms,
        .after_ms = MAX_OF(after_ms, 0),
        .event_ms = job->event_ms,
    };
    move->row = (struct job_moved_row){
        .resume = resume_after(job, to),
        .failures = failures_after(job, edge->on, note->rc, note->waits),
        .retry_at_ms = edge->on == JOB_EV_DEFERRED ? note->retry_at_ms : 0,
        .kind = job->kind,
        .table = job->table,
        .rows_digest = move->rows_digest,
    };
}

void job_move(struct job *job, enum job_event event, const struct job_note *note,
              job_moved_fn *done, void *arg)
{
    const struct job_edge *edge = job_edge_find(job->state, event, job->action);
    struct move *move = mem_new(struct move);
    static const struct job_note silent = {0};

    *move = (struct move){.job = job, .done = done, .arg = arg};
    if (edge == NULL) {
        err_set(&move->refused, RC_BUG, "job %" PRIu64 ": no edge from %s on %s", job->id,
                job_state_name(job->state), job_event_name(event));
        loop_defer(job_store_services(job->store)->loop, move_refused, move);
        return;
    }
    fill(move, edge, note != NULL ? note : &silent);
    job_store_crash_before(job->store);
    job_store_write(job->store, move_record, move_done, move);
}

static const char *stage_name(enum job_state state)
{
    switch (state) {
    case JOB_CRAWLING:
        return "crawl";
    case JOB_EXTRACTING:
        return "extract";
    case JOB_PUBLISHING:
        return "publish";
    default:
        return "retire";
    }
}

static void log_move(const struct job_moved *moved)
{
    scoped(free) char *id = str_printf("SEVIRD_JOB=%" PRIu64, moved->id);
    scoped(free) char *key = str_printf("SEVIRD_KEY=%s", moved->key);
    const char *const items[] = {id, key};
    const struct log_fields fields = {items, ARRAY_LEN(items)};
    scoped(strbuf_done) struct strbuf why = {0};
    const enum log_level level = moved->to == JOB_QUARANTINED ? LOG_WARN
                                 : moved->to == JOB_BACKOFF   ? LOG_NOTE
                                                              : LOG_INFO;

    if (moved->rc != RC_OK) {
        strbuf_printf(&why, " class=%s", rc_name(moved->rc));
    }
    if (moved->reason[0] != '\0') {
        strbuf_printf(&why, " reason='%s'", moved->reason);
    }
    log_write(level, LOG_JOB, &fields, __FILE__, __LINE__,
              "job=%" PRIu64 " %s -> %s on=%s after=%" PRId64 "ms key='%s'%s", moved->id,
              job_state_name(moved->from), job_state_name(moved->to), job_event_name(moved->on),
              moved->after_ms, moved->key, strbuf_text(&why));
}

static void count_move(struct metric_registry *metrics, const struct job_moved *moved)
{
    metric_add(metrics, METRIC_TRANSITIONS,
               METRIC_LABELS(job_state_name(moved->from), job_state_name(moved->to)), 1);
    if (job_state_kind(moved->from) == JOB_KIND_STAGE) {
        metric_observe(metrics, METRIC_STAGE_DURATION, METRIC_LABELS(stage_name(moved->from)),
                       (double)moved->after_ms / 1000.0);
    }
    if (moved->to == JOB_QUARANTINED) {
        char name[32];
        size_t len = 0;

        for (const char *c = rc_name(moved->rc); *c != '\0' && len + 1 < sizeof(name); c++) {
            name[len++] = *c >= 'A' && *c <= 'Z' ? (char)(*c - 'A' + 'a') : *c;
        }
        name[len] = '\0';
        metric_add(metrics, METRIC_QUARANTINED, METRIC_LABELS(name), 1);
    }
    if (moved->to == JOB_DONE && moved->event_ms > 0) {
        metric_observe(metrics, METRIC_INGEST_LAG, METRIC_LABELS(""),
                       (double)MAX_OF(moved->at_ms - moved->event_ms, 0) / 1000.0);
    }
}

static void publish_move(struct job_events *events, const struct job_moved *moved)
{
    scoped(strbuf_done) struct strbuf json = {0};
    char at[NOW_TEXT];

    now_format_iso_ms(moved->at_ms, at);
    strbuf_printf(&json,
                  "{\"job\":%" PRIu64 ",\"action\":\"%s\",\"from\":\"%s\",\"to\":\"%s\","
                  "\"on\":\"%s\",\"at\":\"%s\",\"after_ms\":%" PRId64 ",\"key\":",
                  moved->id, job_action_name(moved->action), job_state_name(moved->from),
                  job_state_name(moved->to), job_event_name(moved->on), at, moved->after_ms);
    strbuf_json(&json, moved->key);
    strbuf_puts(&json, ",\"actor\":");
    strbuf_json(&json, moved->actor);
    if (moved->rc != RC_OK) {
        strbuf_printf(&json, ",\"class\":\"%s\"", rc_name(moved->rc));
    }
    if (moved->reason[0] != '\0') {
        strbuf_puts(&json, ",\"reason\":");
        strbuf_json(&json, moved->reason);
    }
    strbuf_putc(&json, '}');
    job_events_publish(events, "transition", strbuf_text(&json));
}

void job_observe(struct job_store *store, const struct job_moved *moved)
{
    const struct services *services = job_store_services(store);

    if (services->leases != NULL && job_state_kind(moved->to) == JOB_KIND_END) {
        job_lease_give_up(services->leases, moved->key, NULL, NULL);
    }

    job_store_counted(store, moved->from, moved->to);
    count_move(services->metrics, moved);
    log_move(moved);
    publish_move(services->events, moved);

    const struct job_news news = news_of(moved);
    job_watch_tell(job_store_watchers(store), &news);
}

void job_observe_born(struct job_store *store, const struct job_born *born)
{
    const struct services *services = job_store_services(store);
    scoped(strbuf_done) struct strbuf json = {0};

    job_store_counted(store, JOB_NO_STATE, JOB_QUEUED);
    log_info(LOG_INTAKE, "job=%" PRIu64 " -> QUEUED action=%s source=%s size=%" PRIu64 " key='%s'",
             born->id, job_action_name(born->action), born->source, born->size, born->key);
    strbuf_printf(&json,
                  "{\"job\":%" PRIu64 ",\"action\":\"%s\",\"source\":\"%s\",\"outcome\":\"%s\","
                  "\"size\":%" PRIu64 ",\"key\":",
                  born->id, job_action_name(born->action), born->source, born->outcome, born->size);
    strbuf_json(&json, born->key);
    strbuf_putc(&json, '}');
    job_events_publish(services->events, "sighting", strbuf_text(&json));

    const struct job_news news = {.job = born->id,
                                  .action = born->action,
                                  .from = JOB_NO_STATE,
                                  .to = JOB_QUEUED,
                                  .key = born->key,
                                  .reason = ""};
    job_watch_tell(job_store_watchers(store), &news);
}
