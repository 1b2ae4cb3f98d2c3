/** @file
 * Private to the outbox: outbox.c sends, outbox_rows.c writes and reads the rows and the messages.
 *
 * Thread:     those of outbox_rows.c run on the lanes, or anywhere where they are pure.
 */
#pragma once

#include "daemon/job/job_watch.h"
#include "daemon/publish/outbox.h"
#include "lib/base/arena.h"
#include "lib/base/str.h"

#define OUTBOX_BATCH 256

/** What the recorder needs; fixed from the start on. */
struct outbox_recorder {
    const struct uri *raw, *processed;
    bool done, quarantined, retired; /**< Which ends are told. */
};

/** A row on its way. Strings are the batch's. */
struct outbox_row {
    uint64_t id;
    const char *kind; /**< "done", "quarantined", "retired" */
    const char *body; /**< JSON */
    const char *key, *table, *class_name;
};

/** What came of sending rows. */
struct outbox_outcome {
    uint64_t ids[OUTBOX_BATCH];
    unsigned count;
    bool sent, given_up;
    char error[300];
    bool prune;
};

/** "done", ... or NULL when that state is not told. */
const char *outbox_kind(const struct outbox_recorder *recorder, enum job_state state);
/** job_record_fn; `arg` is the recorder. */
enum rc outbox_record(struct db *db, const struct job_news *news, void *arg, struct err *err);
/** Up to OUTBOX_BATCH unsent rows, the oldest first. */
enum rc outbox_read(struct db *db, struct arena *arena, struct outbox_row *rows,
                    unsigned *ret_count, uint64_t *ret_unsent, struct err *err);
enum rc outbox_mark(struct db *db, const struct outbox_outcome *outcome, struct err *err);
/** One message of the first rows that fit; how many those are. */
unsigned outbox_digest(const struct outbox_row *rows, unsigned count, struct strbuf *out);
