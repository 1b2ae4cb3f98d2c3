/** @file
 * /v1/quarantine, /v1/messages: the jobs and the messages that nobody could do anything with.
 */
#include <inttypes.h>

#include "daemon/intake/unread.h"
#include "daemon/job/job_store.h"
#include "daemon/ops/ops_p.h"
#include "lib/base/mem.h"

struct shelf {
    struct ops_call *call;
    uint64_t limit, id;
    struct strbuf body; /**< The lane's until it is done. */
};

static struct shelf *shelf_new(struct ops_call *call)
{
    struct shelf *shelf = mem_new(struct shelf);

    shelf->call = call;
    return shelf;
}

static void on_read(const struct err *err, void *arg)
{
    struct shelf *shelf = arg;

    if (err != NULL) {
        ops_problem_err(shelf->call, err);
    } else {
        ops_answer_json(shelf->call, &shelf->body);
    }
    strbuf_done(&shelf->body);
    free(shelf);
}

/* ---- the lists */

static enum rc read_jobs(struct db *db, struct shelf *shelf, struct err *err)
{
    struct db_stmt *q = db_prepare(db,
                                   "SELECT id, key, entered_ms, class, reason FROM jobs WHERE"
                                   " state = 'QUARANTINED' ORDER BY entered_ms DESC LIMIT ?",
                                   err);

    if (q == NULL) {
        return err->rc;
    }
    db_bind_int(q, 1, (int64_t)shelf->limit);
    for (unsigned i = 0; db_step(q, err); i++) {
        strbuf_printf(&shelf->body, "%s\n{\"id\":%" PRId64 ",\"key\":", i > 0 ? "," : "",
                      db_int(q, 0));
        strbuf_json(&shelf->body, db_text(q, 1));
        strbuf_puts(&shelf->body, ",\"since\":");
        ops_time_json(&shelf->body, db_int(q, 2));
        strbuf_puts(&shelf->body, ",\"class\":");
        strbuf_json(&shelf->body, db_text(q, 3));
        strbuf_puts(&shelf->body, ",\"reason\":");
        strbuf_json(&shelf->body, db_text(q, 4));
        strbuf_putc(&shelf->body, '}');
    }
    return db_failed(q) ? err->rc : RC_OK;
}

#define MESSAGE_COLUMNS "id, queue, message, reason, first_ms, last_ms, receives, length(body)"

/** All but its end, for the body may follow. */
static void add_message(struct strbuf *out, struct db_stmt *q)
{
    strbuf_printf(out, "{\"id\":%" PRId64 ",\"queue\":", db_int(q, 0));
    strbuf_json(out, db_text(q, 1));
    strbuf_puts(out, ",\"message\":");
    strbuf_json(out, db_text(q, 2));
    strbuf_puts(out, ",\"reason\":");
    strbuf_json(out, db_text(q, 3));
    strbuf_puts(out, ",\"first\":");
    ops_time_json(out, db_int(q, 4));
    strbuf_puts(out, ",\"last\":");
    ops_time_json(out, db_int(q, 5));
    strbuf_printf(out, ",\"receives\":%" PRId64 ",\"bytes\":%" PRId64, db_int(q, 6), db_int(q, 7));
}

static enum rc read_messages(struct db *db, struct shelf *shelf, struct err *err)
{
    struct db_stmt *q =
        db_prepare(db, "SELECT " MESSAGE_COLUMNS " FROM unread ORDER BY id DESC LIMIT ?", err);

    if (q == NULL) {
        return err->rc;
    }
    db_bind_int(q, 1, (int64_t)shelf->limit);
    for (unsigned i = 0; db_step(q, err); i++) {
        strbuf_puts(&shelf->body, i > 0 ? ",\n" : "\n");
        add_message(&shelf->body, q);
        strbuf_putc(&shelf->body, '}');
    }
    return db_failed(q) ? err->rc : RC_OK;
}

static enum rc read_quarantine(struct db *db, void *arg, struct err *err)
{
    struct shelf *shelf = arg;

    strbuf_puts(&shelf->body, "{\"jobs\":[");
    if (read_jobs(db, shelf, err) != RC_OK) {
        return err->rc;
    }
    strbuf_puts(&shelf->body, "],\"messages\":[");
    if (read_messages(db, shelf, err) != RC_OK) {
        return err->rc;
    }
    strbuf_puts(&shelf->body, "]}\n");
    return RC_OK;
}

void ops_get_quarantine(struct ops_call *call)
{
    uint64_t limit;

    if (!ops_arg_number(call, "limit", 1, 1000, 50, &limit)) {
        return;
    }
    struct shelf *shelf = shelf_new(call);

    shelf->limit = limit;
    job_store_read(call->ops->services->jobs, read_quarantine, on_read, shelf);
}

/* ---- one message */

static enum rc read_message(struct db *db, void *arg, struct err *err)
{
    struct shelf *shelf = arg;
    struct db_stmt *q =
        db_prepare(db, "SELECT " MESSAGE_COLUMNS ", body FROM unread WHERE id = ?", err);

    if (q == NULL) {
        return err->rc;
    }
    db_bind_int(q, 1, (int64_t)shelf->id);
    if (!db_step(q, err)) {
        return db_failed(q) ? err->rc
                            : err_set(err, RC_NOT_FOUND, "there is no message %" PRIu64, shelf->id);
    }
    add_message(&shelf->body, q);
    strbuf_puts(&shelf->body, ",\"body\":");
    strbuf_json(&shelf->body, db_text(q, 8));
    strbuf_puts(&shelf->body, "}\n");
    db_reset(q);
    return RC_OK;
}

void ops_get_message(struct ops_call *call)
{
    uint64_t id;

    if (!ops_id(call, &id)) {
        return;
    }
    struct shelf *shelf = shelf_new(call);

    shelf->id = id;
    job_store_read(call->ops->services->jobs, read_message, on_read, shelf);
}

static enum rc drop(struct db *db, void *arg, struct err *err)
{
    const struct shelf *shelf = arg;

    return unread_drop(db, shelf->id, err);
}

static void on_dropped(const struct err *err, void *arg)
{
    struct shelf *shelf = arg;

    if (err != NULL) {
        ops_problem_err(shelf->call, err);
    } else {
        ops_answer_done(shelf->call);
    }
    free(shelf);
}

void ops_post_drop(struct ops_call *call)
{
    uint64_t id;

    if (!ops_id(call, &id)) {
        return;
    }
    struct shelf *shelf = shelf_new(call);

    shelf->id = id;
    job_store_write(call->ops->services->jobs, drop, on_dropped, shelf);
}
