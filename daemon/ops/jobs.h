/** @file
 * A row of `jobs` as JSON; shared by the list and the stories.
 *
 * Thread:     a reader lane's worker.
 */
#pragma once

#include <stdio.h>

#include "daemon/ops/ops_p.h"
#include "lib/db/db.h"

/** What ops_add_job() reads, in its order. */
#define OPS_JOB_COLUMNS                                                                           \
    "id, bucket, key, version, etag, size, modified_ms, event_ms, action, source, state, "        \
    "failures,"                                                                                   \
    " sighted_ms, entered_ms, CASE state WHEN 'BACKOFF' THEN retry_at_ms END, kind, tbl, reason," \
    " class"

/** The object without its closing brace, so that the caller may add to it. */
void ops_add_job(struct strbuf *out, struct db_stmt *q);
