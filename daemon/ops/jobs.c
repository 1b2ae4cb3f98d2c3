/** @file
 * /v1/jobs: a page of jobs, newest first.
 */
#include "daemon/ops/jobs.h"

#include <inttypes.h>

#include "daemon/job/job_store.h"
#include "lib/base/mem.h"

struct page {
    struct ops_call *call;
    char state[32]; /**< "": any. */
    uint64_t limit, before;
    struct strbuf body; /**< The lane's until it is done. */
};

static void add_text(struct strbuf *out, const char *name, const char *text)
{
    strbuf_printf(out, ",\"%s\":", name);
    strbuf_json(out, text);
}

static void add_time(struct strbuf *out, const char *name, int64_t ms)
{
    strbuf_printf(out, ",\"%s\":", name);
    ops_time_json(out, ms);
}

void ops_add_job(struct strbuf *out, struct db_stmt *q)
{
    strbuf_printf(out, "{\"id\":%" PRId64, db_int(q, 0));
    add_text(out, "bucket", db_text(q, 1));
    add_text(out, "key", db_text(q, 2));
    add_text(out, "version", db_text(q, 3));
    add_text(out, "etag", db_text(q, 4));
    strbuf_printf(out, ",\"size\":%" PRId64, db_int(q, 5));
    add_time(out, "modified", db_int(q, 6));
    add_time(out, "event", db_int(q, 7));
    add_text(out, "action", db_text(q, 8));
    add_text(out, "source", db_text(q, 9));
    add_text(out, "state", db_text(q, 10));
    strbuf_printf(out, ",\"failures\":%" PRId64, db_int(q, 11));
    add_time(out, "sighted", db_int(q, 12));
    add_time(out, "entered", db_int(q, 13));
    add_time(out, "retry_at", db_int(q, 14));
    add_text(out, "kind", db_text(q, 15));
    add_text(out, "table", db_text(q, 16));
    add_text(out, "reason", db_text(q, 17));
    add_text(out, "class", db_text(q, 18));
}

static enum rc read_page(struct db *db, void *arg, struct err *err)
{
    struct page *page = arg;
    uint64_t count = 0;
    int64_t last = 0;
    struct db_stmt *q =
        page->state[0] != '\0'
            ? db_prepare(db,
                         "SELECT " OPS_JOB_COLUMNS " FROM jobs WHERE id < ?1 AND state = ?3"
                         " ORDER BY id DESC LIMIT ?2",
                         err)
            : db_prepare(db,
                         "SELECT " OPS_JOB_COLUMNS " FROM jobs WHERE id < ?1"
                         " ORDER BY id DESC LIMIT ?2",
                         err);

    if (q == NULL) {
        return err->rc;
    }
    db_bind_int(q, 1, (int64_t)page->before);
    db_bind_int(q, 2, (int64_t)page->limit);
    if (page->state[0] != '\0') {
        db_bind_text(q, 3, page->state);
    }
    strbuf_puts(&page->body, "{\"jobs\":[");
    while (db_step(q, err)) {
        strbuf_puts(&page->body, count++ > 0 ? ",\n" : "\n");
        last = db_int(q, 0);
        ops_add_job(&page->body, q);
        strbuf_putc(&page->body, '}');
    }
    if (db_failed(q)) {
        return err->rc;
    }
    strbuf_puts(&page->body, "],\"next\":");
    strbuf_printf(&page->body, count == page->limit ? "%" PRId64 "}\n" : "null}\n", last);
    return RC_OK;
}

static void on_page(const struct err *err, void *arg)
{
    struct page *page = arg;

    if (err != NULL) {
        ops_problem_err(page->call, err);
    } else {
        ops_answer_json(page->call, &page->body);
    }
    strbuf_done(&page->body);
    free(page);
}

void ops_get_jobs(struct ops_call *call)
{
    const char *state = http_request_arg(call->request, "state");
    uint64_t limit, before;
    enum job_state known;

    if (!ops_arg_number(call, "limit", 1, 1000, 50, &limit) ||
        !ops_arg_number(call, "before", 1, INT64_MAX, INT64_MAX, &before)) {
        return;
    }
    if (state != NULL && !job_state_parse(state, &known)) {
        scoped(strbuf_done) struct strbuf names = {0};

        for (unsigned i = 0; i < JOB_STATE_COUNT; i++) {
            strbuf_printf(&names, "%s%s", i > 0 ? ", " : "", job_state_name((enum job_state)i));
        }
        ops_problem(call, 400, "'%.40s' is no state; there are %s", state, strbuf_text(&names));
        return;
    }
    struct page *page = mem_new(struct page);
    *page = (struct page){.call = call, .limit = limit, .before = before};
    if (state != NULL) {
        snprintf(page->state, sizeof(page->state), "%s", job_state_name(known));
    }
    job_store_read(call->ops->services->jobs, read_page, on_page, page);
}
