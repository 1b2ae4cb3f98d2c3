/** @file
 * state.db, step by step. A step that has been released is never edited; a change is a new step.
 *
 * States and events are stored by name: a file read years later, or with the sqlite3 shell, needs
 * no table of numbers.
 */
#include "daemon/job/job_p.h"

/* clang-format off */
const char *const job_schema_steps[] = {
    /* 0 -> 1 */
    /* What is known of each object of the raw store, whatever its jobs. `made`: something may have
     * been made from it (a crawl began), so its disappearance needs a job. `doubt_etag`: a version
     * older than this one that a look at the store showed; believed when it is shown again. */
    "CREATE TABLE objects("
    "  id INTEGER PRIMARY KEY,"
    "  bucket TEXT NOT NULL, key TEXT NOT NULL,"
    "  version TEXT NOT NULL, etag TEXT NOT NULL, sequencer TEXT NOT NULL,"
    "  size INTEGER NOT NULL, modified_ms INTEGER NOT NULL,"
    "  live INTEGER NOT NULL, made INTEGER NOT NULL DEFAULT 0,"
    "  job INTEGER NOT NULL DEFAULT 0,"      /* the newest; 0: none */
    "  first_ms INTEGER NOT NULL, changed_ms INTEGER NOT NULL,"
    "  doubt_etag TEXT,"
    "  UNIQUE(bucket, key));"

    /* `order_ms`: place in the line (job_queue.h). `big`: the small-files slot is not for it.
     * `overtaken`: to be superseded as soon as it rests. `tbl`: its table of the data catalog.
     * `reason` and `class` are the last move's. */
    "CREATE TABLE jobs("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  object INTEGER NOT NULL REFERENCES objects(id),"
    "  bucket TEXT NOT NULL, key TEXT NOT NULL,"
    "  version TEXT NOT NULL, etag TEXT NOT NULL, sequencer TEXT NOT NULL,"
    "  size INTEGER NOT NULL, modified_ms INTEGER NOT NULL, event_ms INTEGER NOT NULL,"
    "  action TEXT NOT NULL, source TEXT NOT NULL,"
    "  state TEXT NOT NULL, resume TEXT NOT NULL, failures INTEGER NOT NULL DEFAULT 0,"
    "  sighted_ms INTEGER NOT NULL, entered_ms INTEGER NOT NULL,"
    "  order_ms INTEGER NOT NULL, big INTEGER NOT NULL, retry_at_ms INTEGER,"
    "  kind TEXT NOT NULL DEFAULT '', tbl TEXT NOT NULL DEFAULT '',"
    "  rows_digest TEXT NOT NULL DEFAULT '', overtaken INTEGER NOT NULL DEFAULT 0,"
    "  reason TEXT NOT NULL DEFAULT '', class TEXT NOT NULL DEFAULT '');"
    "CREATE INDEX jobs_in_line ON jobs(state, big, order_ms, id);"
    "CREATE INDEX jobs_entered ON jobs(state, entered_ms);"
    "CREATE INDEX jobs_of_object ON jobs(object, id);"
    "CREATE INDEX jobs_of_catalog ON jobs(id) WHERE kind IN ('hdf5', 'catalog');"
    "CREATE INDEX jobs_overtaken ON jobs(id) WHERE overtaken = 1;"
    "CREATE INDEX jobs_backing_off ON jobs(retry_at_ms) WHERE state = 'BACKOFF';"

    /* Every move. The first of a job has from_state '' and event 'SIGHTED'. `actor`: daemon, boot or
     * operator. */
    "CREATE TABLE transitions("
    "  id INTEGER PRIMARY KEY,"
    "  job INTEGER NOT NULL REFERENCES jobs(id),"
    "  at_ms INTEGER NOT NULL, from_state TEXT NOT NULL, to_state TEXT NOT NULL,"
    "  event TEXT NOT NULL, after_ms INTEGER NOT NULL,"
    "  actor TEXT NOT NULL, reason TEXT NOT NULL, class TEXT NOT NULL,"
    "  request_ids TEXT NOT NULL);"
    "CREATE INDEX transitions_of_job ON transitions(job, id);"

    /* Sightings that told something new, the last few an object. */
    "CREATE TABLE sightings("
    "  id INTEGER PRIMARY KEY,"
    "  object INTEGER NOT NULL REFERENCES objects(id),"
    "  at_ms INTEGER NOT NULL, source TEXT NOT NULL, outcome TEXT NOT NULL,"
    "  gone INTEGER NOT NULL, version TEXT NOT NULL, etag TEXT NOT NULL, sequencer TEXT NOT NULL,"
    "  size INTEGER NOT NULL, modified_ms INTEGER NOT NULL, event_ms INTEGER NOT NULL,"
    "  job INTEGER NOT NULL);"
    "CREATE INDEX sightings_of_object ON sightings(object, id);"

    /* Keys that break a rule: they have no job, and an operator should know of them. */
    "CREATE TABLE refused("
    "  bucket TEXT NOT NULL, key TEXT NOT NULL, source TEXT NOT NULL, reason TEXT NOT NULL,"
    "  at_ms INTEGER NOT NULL, PRIMARY KEY(bucket, key)) WITHOUT ROWID;"

    /* What others are to be told of, written in the transaction of the move it tells of. */
    "CREATE TABLE outbox("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  job INTEGER NOT NULL REFERENCES jobs(id),"
    "  kind TEXT NOT NULL, body TEXT NOT NULL, made_ms INTEGER NOT NULL,"
    "  sent_ms INTEGER, failures INTEGER NOT NULL DEFAULT 0, error TEXT NOT NULL DEFAULT '');"
    "CREATE INDEX outbox_unsent ON outbox(id) WHERE sent_ms IS NULL;"

    /* Source cursors and what else must be remembered by name. */
    "CREATE TABLE meta(name TEXT PRIMARY KEY, value TEXT NOT NULL, at_ms INTEGER NOT NULL)"
    "  WITHOUT ROWID;",

    /* 1 -> 2 */
    /* Whose a key of the processed store is, and who was refused which (job_claims.h). */
    "CREATE TABLE claims(key TEXT PRIMARY KEY, object INTEGER NOT NULL REFERENCES objects(id))"
    "  WITHOUT ROWID;"
    "CREATE INDEX claims_of_object ON claims(object);"
    "CREATE TABLE blocked(object INTEGER PRIMARY KEY REFERENCES objects(id), key TEXT NOT NULL);"
    "CREATE INDEX blocked_key ON blocked(key);",

    /* 2 -> 3 */
    /* Messages of queues that nobody could read (intake/unread.h). `message` is the queue's id. */
    "CREATE TABLE unread("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  queue TEXT NOT NULL, message TEXT NOT NULL, body TEXT NOT NULL, reason TEXT NOT NULL,"
    "  first_ms INTEGER NOT NULL, last_ms INTEGER NOT NULL, receives INTEGER NOT NULL,"
    "  UNIQUE(queue, message));",

    /* 3 -> 4 */
    /* Runs of remote engines (job_remote.h), written before they are started. `after_ms`: start of
     * the crawl before it. A job is `settled` when it has moved on by what became of the
     * run, a run `closed` when all have and nothing of it is left anywhere. */
    "CREATE TABLE runs("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  kind TEXT NOT NULL, name TEXT NOT NULL, token TEXT NOT NULL,"
    "  remote_id TEXT NOT NULL DEFAULT '', state TEXT NOT NULL, after_ms INTEGER NOT NULL DEFAULT 0,"
    "  began_ms INTEGER NOT NULL, ended_ms INTEGER, error TEXT NOT NULL DEFAULT '',"
    "  log_url TEXT NOT NULL DEFAULT '', dpu_seconds REAL NOT NULL DEFAULT 0,"
    "  closed INTEGER NOT NULL DEFAULT 0);"
    "CREATE INDEX runs_open ON runs(id) WHERE closed = 0;"
    "CREATE TABLE run_jobs("
    "  run INTEGER NOT NULL REFERENCES runs(id), job INTEGER NOT NULL REFERENCES jobs(id),"
    "  settled INTEGER NOT NULL DEFAULT 0, PRIMARY KEY(run, job)) WITHOUT ROWID;"
    "CREATE INDEX run_jobs_open ON run_jobs(run) WHERE settled = 0;"
    "CREATE INDEX run_jobs_of_job ON run_jobs(job);",

    /* 4 -> 5 */
    /* Manifests to be (job_draft.h) and keys that no manifest vouches for (job_ledger.h), in pieces.
     * They were files; job_takeover.h brings those in. */
    "CREATE TABLE drafts(job INTEGER NOT NULL REFERENCES jobs(id), part INTEGER NOT NULL,"
    "  bytes BLOB NOT NULL, PRIMARY KEY(job, part)) WITHOUT ROWID;"
    "CREATE TABLE ledgers(object INTEGER NOT NULL REFERENCES objects(id), part INTEGER NOT NULL,"
    "  bytes BLOB NOT NULL, PRIMARY KEY(object, part)) WITHOUT ROWID;",
};
/* clang-format on */
const int job_schema_step_count = sizeof(job_schema_steps) / sizeof(job_schema_steps[0]);
