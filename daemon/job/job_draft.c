#include "daemon/job/job_draft.h"

#include "daemon/job/job_pieces.h"

#define WANTED \
    " FROM jobs WHERE resume = 'EXTRACTED' AND state IN ('EXTRACTED', 'PUBLISHING', 'BACKOFF')"

static const struct job_pieces drafts = {
    .measure = "SELECT sum(length(bytes)) FROM drafts WHERE job = ?1",
    .read = "SELECT bytes FROM drafts WHERE job = ?1 ORDER BY part",
    .insert = "INSERT INTO drafts(job, part, bytes) VALUES(?1, ?2, ?3)",
    .remove = "DELETE FROM drafts WHERE job = ?1",
};

enum rc job_draft_record(struct db *state, const struct job *job, void *unused, struct err *err)
{
    (void)unused;
    return job_draft_put(state, job->id, job->draft.data, job->draft.len, err);
}

enum rc job_draft_put(struct db *state, uint64_t job, const void *bytes, size_t len,
                      struct err *err)
{
    return job_pieces_put(state, &drafts, job, bytes, len, err);
}

enum rc job_draft_read(struct db *state, uint64_t job, char **ret_bytes, size_t *ret_len,
                       struct err *err)
{
    return job_pieces_get(state, &drafts, job, ret_bytes, ret_len, err);
}

enum rc job_draft_remove(struct db *state, uint64_t job, struct err *err)
{
    return job_pieces_remove(state, &drafts, job, err);
}

bool job_draft_is_wanted(struct db *state, uint64_t job)
{
    struct err err;
    struct db_stmt *q = db_prepare(state, "SELECT 1" WANTED " AND id = ?", &err);

    if (q == NULL) {
        return true;
    }
    db_bind_int(q, 1, (int64_t)job);
    const bool wanted = db_step(q, &err);

    if (wanted) {
        db_reset(q);
    }
    return wanted || db_failed(q);
}

enum rc job_draft_sweep(struct db *state, struct err *err)
{
    return db_exec(state, "DELETE FROM drafts WHERE job NOT IN (SELECT id" WANTED ")", err);
}
