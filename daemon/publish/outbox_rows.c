/** @file
 * Rows of `outbox`, and the messages that are made of them.
 */
#include <inttypes.h>
#include <string.h>

#include "daemon/job/job_state.h"
#include "daemon/publish/outbox_p.h"
#include "lib/aws/sns.h"
#include "lib/base/mem.h"
#include "lib/base/now.h"
#include "lib/sevir/naming.h"

#define MESSAGE_VERSION 1
#define DIGEST_BYTES_MAX (SNS_MESSAGE_MAX - 4096) /**< Room for what is around the events. */
#define KEPT_MS ((int64_t)7 * 86400 * 1000)

const char *outbox_kind(const struct outbox_recorder *recorder, enum job_state state)
{
    switch (state) {
    case JOB_DONE:
        return recorder->done ? "done" : NULL;
    case JOB_QUARANTINED:
        return recorder->quarantined ? "quarantined" : NULL;
    case JOB_RETIRED:
        return recorder->retired ? "retired" : NULL;
    default:
        return NULL;
    }
}

/* ---- writing */

static void add_text(struct strbuf *out, const char *name, const char *text)
{
    strbuf_printf(out, ",\"%s\":", name);
    strbuf_json(out, text);
}

static void add_time(struct strbuf *out, const char *name, int64_t ms)
{
    char iso[NOW_TEXT];

    if (ms > 0) {
        now_format_iso_ms(ms, iso);
        strbuf_printf(out, ",\"%s\":\"%s\"", name, iso);
    } else {
        strbuf_printf(out, ",\"%s\":null", name);
    }
}

static void add_uri(struct strbuf *out, const char *name, const struct uri *root, const char *key)
{
    scoped(free) char *uri = uri_format(root, key);

    add_text(out, name, uri);
}

#define JOB_FIELDS                                                                       \
    "key, bucket, version, etag, size, kind, tbl, class, reason, event_ms, sighted_ms, " \
    "entered_ms,"                                                                        \
    " source"

/** The job's row is as the move has left it. */
static void compose(struct strbuf *out, const struct outbox_recorder *recorder,
                    const struct job_news *news, const char *kind, struct db_stmt *q)
{
    const char *key = db_text(q, 0);
    scoped(free) char *manifest = naming_manifest_key(key);

    strbuf_printf(out, "{\"version\":%d,\"event\":\"%s\",\"job\":%" PRIu64, MESSAGE_VERSION, kind,
                  news->job);
    add_uri(out, "source", recorder->raw, key);
    add_text(out, "bucket", db_text(q, 1));
    add_text(out, "key", key);
    add_text(out, "version_id", db_text(q, 2));
    add_text(out, "etag", db_text(q, 3));
    strbuf_printf(out, ",\"size\":%" PRId64, db_int(q, 4));
    add_text(out, "kind", db_text(q, 5));
    add_text(out, "table", db_text(q, 6));
    if (news->to == JOB_DONE) {
        add_uri(out, "manifest", recorder->processed, manifest);
        strbuf_printf(out, ",\"outputs\":%" PRIu64, news->outputs);
    }
    if (news->to == JOB_QUARANTINED) {
        add_text(out, "class", db_text(q, 7));
    }
    add_text(out, "reason", db_text(q, 8));
    add_text(out, "told_by", db_text(q, 12));
    add_time(out, "event_time", db_int(q, 9));
    add_time(out, "sighted", db_int(q, 10));
    add_time(out, "at", db_int(q, 11));
    strbuf_putc(out, '}');
}

static enum rc insert(struct db *db, uint64_t job, const char *kind, const char *body,
                      struct err *err)
{
    struct db_stmt *q =
        db_prepare(db, "INSERT INTO outbox(job, kind, body, made_ms) VALUES(?, ?, ?, ?)", err);

    if (q == NULL) {
        return err->rc;
    }
    db_bind_int(q, 1, (int64_t)job);
    db_bind_text(q, 2, kind);
    db_bind_text(q, 3, body);
    db_bind_int(q, 4, now_wall_ms());
    return db_run(q, err);
}

enum rc outbox_record(struct db *db, const struct job_news *news, void *arg, struct err *err)
{
    const struct outbox_recorder *recorder = arg;
    const char *kind = outbox_kind(recorder, news->to);
    scoped(strbuf_done) struct strbuf body = {0};
    struct db_stmt *q;

    if (kind == NULL) {
        return RC_OK;
    }
    q = db_prepare(db, "SELECT " JOB_FIELDS " FROM jobs WHERE id = ?", err);
    if (q == NULL) {
        return err->rc;
    }
    db_bind_int(q, 1, (int64_t)news->job);
    if (!db_step(q, err)) {
        return db_failed(q) ? err->rc : RC_OK;
    }
    compose(&body, recorder, news, kind, q);
    db_reset(q);
    return insert(db, news->job, kind, strbuf_text(&body), err);
}

/* ---- reading and marking */

enum rc outbox_read(struct db *db, struct arena *arena, struct outbox_row *rows,
                    unsigned *ret_count, uint64_t *ret_unsent, struct err *err)
{
    struct db_stmt *q =
        db_prepare(db,
                   "SELECT o.id, o.kind, o.body, j.key, j.tbl, j.class FROM outbox AS o"
                   " JOIN jobs AS j ON j.id = o.job WHERE o.sent_ms IS NULL ORDER BY o.id LIMIT ?",
                   err);
    unsigned count = 0;

    if (q == NULL) {
        return err->rc;
    }
    db_bind_int(q, 1, OUTBOX_BATCH);
    while (count < OUTBOX_BATCH && db_step(q, err)) {
        rows[count++] = (struct outbox_row){.id = (uint64_t)db_int(q, 0),
                                            .kind = arena_dup(arena, db_text(q, 1)),
                                            .body = arena_dup(arena, db_text(q, 2)),
                                            .key = arena_dup(arena, db_text(q, 3)),
                                            .table = arena_dup(arena, db_text(q, 4)),
                                            .class_name = arena_dup(arena, db_text(q, 5))};
    }
    if (count < OUTBOX_BATCH && db_failed(q)) {
        return err->rc;
    }
    db_reset(q);
    q = db_prepare(db, "SELECT count(*) FROM outbox WHERE sent_ms IS NULL", err);
    if (q == NULL) {
        return err->rc;
    }
    *ret_unsent = db_step(q, err) ? (uint64_t)db_int(q, 0) : 0;
    if (db_failed(q)) {
        return err->rc;
    }
    db_reset(q);
    *ret_count = count;
    return RC_OK;
}

static enum rc prune(struct db *db, struct err *err)
{
    struct db_stmt *q = db_prepare(
        db, "DELETE FROM outbox WHERE sent_ms IS NOT NULL AND made_ms < ? AND sent_ms < ?", err);

    if (q == NULL) {
        return err->rc;
    }
    db_bind_int(q, 1, now_wall_ms() - KEPT_MS);
    db_bind_int(q, 2, now_wall_ms() - KEPT_MS);
    return db_run(q, err);
}

enum rc outbox_mark(struct db *db, const struct outbox_outcome *outcome, struct err *err)
{
    for (unsigned i = 0; i < outcome->count; i++) {
        struct db_stmt *q = db_prepare(db,
                                       "UPDATE outbox SET sent_ms = ?2, error = ?3,"
                                       " failures = failures + ?4 WHERE id = ?1",
                                       err);

        if (q == NULL) {
            return err->rc;
        }
        db_bind_int(q, 1, (int64_t)outcome->ids[i]);
        if (outcome->sent || outcome->given_up) {
            db_bind_int(q, 2, now_wall_ms());
        } else {
            db_bind_null(q, 2);
        }
        db_bind_text(q, 3, outcome->error);
        db_bind_int(q, 4, !outcome->sent);
        if (db_run(q, err) != RC_OK) {
            return err->rc;
        }
    }
    return outcome->prune ? prune(db, err) : RC_OK;
}

unsigned outbox_digest(const struct outbox_row *rows, unsigned count, struct strbuf *out)
{
    static const char *const kinds[] = {"done", "quarantined", "retired"};
    uint64_t counts[ARRAY_LEN(kinds)] = {0};
    size_t bytes = 0;
    unsigned taken = 0;

    for (; taken < count && (taken == 0 || bytes + strlen(rows[taken].body) < DIGEST_BYTES_MAX);
         taken++) {
        bytes += strlen(rows[taken].body) + 2;
        for (unsigned k = 0; k < ARRAY_LEN(kinds); k++) {
            counts[k] += strcmp(rows[taken].kind, kinds[k]) == 0;
        }
    }
    strbuf_printf(out, "{\"version\":%d,\"event\":\"digest\"", MESSAGE_VERSION);
    add_time(out, "at", now_wall_ms());
    for (unsigned k = 0; k < ARRAY_LEN(kinds); k++) {
        strbuf_printf(out, "%s\"%s\":%" PRIu64, k == 0 ? ",\"counts\":{" : ",", kinds[k],
                      counts[k]);
    }
    strbuf_puts(out, "},\"events\":[");
    for (unsigned i = 0; i < taken; i++) {
        strbuf_printf(out, "%s\n", i > 0 ? "," : "");
        strbuf_puts(out, rows[i].body);
    }
    strbuf_puts(out, "]}");
    return taken;
}
