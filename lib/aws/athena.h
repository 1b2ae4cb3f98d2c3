/** @file
 * AWS Athena: one query from its start to its last row.
 *
 *     athena_query() -> rows, a page at a time -> done
 *
 * The start is idempotent (ClientRequestToken); the state is polled with a delay that grows; pages
 * are asked for one after another. The header that Athena puts into the first page of a SELECT, and
 * only there, is left out.
 *
 *     RC_INVALID   the query is wrong: Athena's words follow
 *     RC_LIMIT     it would scan more than the workgroup allows
 *     RC_CANCELED  athena_cancel(), or somebody stopped it
 *     RC_TIMEOUT   `total_ms` has passed: the query is stopped
 *     RC_DENIED, RC_THROTTLED, RC_NETWORK...   as in aws.h, and an AthenaError that is retryable
 *
 * Thread:     the loop's.
 * Completion: `columns` once, then `row` for each, then `done`, exactly once; all later. `row` of a
 *             statement without rows is never called.
 * Ownership:  strings passed in are copied; what the functions are given is borrowed.
 */
#pragma once

#include <stdint.h>

#include "lib/aws/aws.h"

struct athena_query;

struct athena_options {
    const char *sql;
    const char *workgroup;       /**< NULL: "primary". */
    const char *database;        /**< NULL: none. */
    const char *catalog;         /**< NULL: "AwsDataCatalog". */
    const char *output_location; /**< NULL: the workgroup's. */
    const char *token;           /**< 32 to 128 characters. */
    int64_t total_ms;            /**< 0: no limit. */
    uint64_t max_rows;           /**< 0: no limit; after it the rest is left. */
};

struct athena_column {
    const char *name, *type; /**< "bigint", "double", "varchar", "timestamp"... */
};

struct athena_result {
    const char *id; /**< QueryExecutionId; "" when it never started. */
    uint64_t scanned_bytes, rows;
    int64_t engine_ms, queued_ms;
    bool truncated; /**< `max_rows` cut it. */
};

struct athena_calls {
    void (*columns)(const struct athena_column *columns, unsigned count, void *arg);
    /** `values[i]` is NULL for NULL. */
    void (*row)(const char *const *values, unsigned count, void *arg);
    /** `result` is never NULL. */
    void (*done)(const struct athena_result *result, const struct err *err, void *arg);
    void *arg;
};

struct athena_query *athena_query(struct aws *aws, struct loop *loop,
                                  const struct athena_options *options,
                                  const struct athena_calls *calls);
/** Stops it at Athena; `done` still comes. */
void athena_cancel(struct athena_query *query);
