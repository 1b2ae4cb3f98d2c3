/** @file
 * AWS Glue: crawlers, job runs and the Data Catalog, an operation a function.
 *
 * Errors beside those of aws.h:
 *
 *     RC_CONFLICT   CrawlerRunningException, CrawlerStoppingException, CrawlerNotRunningException,
 *                   AlreadyExistsException, ConcurrentModificationException: look again
 *     RC_THROTTLED  ConcurrentRunsExceededException, ResourceNumberLimitExceededException
 *     RC_TIMEOUT    OperationTimeoutException: it may have happened
 *     RC_CORRUPT    an answer without what the API promises
 *
 * Thread:     the loop's.
 * Completion: `done` later, exactly once. aws_cancel() asks.
 * Ownership:  as in aws.h: strings passed in are copied; what a `done` is given is borrowed.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/aws/aws.h"

#define GLUE_PARTITIONS_CREATE 100
#define GLUE_PARTITIONS_DELETE 25
#define GLUE_NAME_MAX 255

typedef void glue_done_fn(const struct err *err, void *arg);
typedef void glue_text_fn(const char *text, const struct err *err, void *arg);

/* ---- crawlers */

enum glue_crawler_state { GLUE_READY, GLUE_RUNNING, GLUE_STOPPING };
enum glue_crawl_status {
    GLUE_CRAWL_NONE,
    GLUE_CRAWL_SUCCEEDED,
    GLUE_CRAWL_CANCELLED,
    GLUE_CRAWL_FAILED
};

struct glue_crawler {
    enum glue_crawler_state state;
    enum glue_crawl_status last_status; /**< Of the last crawl that ended. */
    int64_t last_started_ms;            /**< When that began; 0: there was none. */
    const char *last_error;             /**< "" if none. */
    const char *log_group, *log_stream; /**< Of the last crawl; "" if not told. */
    const char *database, *table_prefix;
};
typedef void glue_crawler_fn(const struct glue_crawler *crawler, const struct err *err, void *arg);
struct aws_call *glue_crawler_get(struct aws *aws, const char *name, glue_crawler_fn *done,
                                  void *arg);
/** RC_CONFLICT: it is running. StartCrawler answers no id: a crawl is known by its start. */
struct aws_call *glue_crawler_start(struct aws *aws, const char *name, glue_done_fn *done,
                                    void *arg);
struct aws_call *glue_crawler_stop(struct aws *aws, const char *name, glue_done_fn *done,
                                   void *arg);

/* ---- job runs */

#define GLUE_RUN_MAP(X) \
    X(STARTING, false)  \
    X(RUNNING, false)   \
    X(STOPPING, false)  \
    X(WAITING, false)   \
    X(STOPPED, true)    \
    X(SUCCEEDED, true) X(FAILED, true) X(TIMEOUT, true) X(ERROR, true) X(EXPIRED, true)
enum glue_run_state {
#define X(name, terminal) GLUE_RUN_##name,
    GLUE_RUN_MAP(X)
#undef X
        GLUE_RUN_COUNT
};
const char *glue_run_state_name(enum glue_run_state state);
/** Nothing more will happen to such a run. */
bool glue_run_state_ended(enum glue_run_state state);

struct glue_run {
    const char *id;
    enum glue_run_state state;
    const char *error;                /**< "" if none. */
    int64_t started_ms, completed_ms; /**< 0: not yet. */
    double dpu_seconds;               /**< 0 where it is not told. */
    const char *log_group;            /**< "" if not told. */
};
typedef void glue_run_fn(const struct glue_run *run, const struct err *err, void *arg);
/** `done` is given the run's id. StartJobRun has no idempotence token, so it is sent once and
 * never repeated: put a token of your own into an argument, and look with glue_run_find() before
 * starting again. */
struct aws_call *glue_run_start(struct aws *aws, const char *job,
                                const struct sigv4_pair *arguments, unsigned count,
                                glue_text_fn *done, void *arg);
struct aws_call *glue_run_get(struct aws *aws, const char *job, const char *id, glue_run_fn *done,
                              void *arg);
/** The run whose argument `name` is `value`, among the newest that began at or after `since_ms`, at
 * most GLUE_FIND_PAGES pages; RC_NOT_FOUND if there is none. */
#define GLUE_FIND_PAGES 10
struct glue_find;
void glue_run_find(struct aws *aws, const char *job, const char *name, const char *value,
                   int64_t since_ms, glue_run_fn *done, void *arg);
/** One that has ended is no error. */
struct aws_call *glue_run_stop(struct aws *aws, const char *job, const char *id, glue_done_fn *done,
                               void *arg);

/* ---- the Data Catalog */

struct glue_column {
    const char *name, *type;
    const char *comment; /**< NULL: none. */
};

/** A table as we write it: CSV with one header line. */
struct glue_table {
    const char *database, *name;
    const char *location; /**< "s3://bucket/frames/". */
    const struct glue_column *columns, *partition_keys;
    unsigned column_count, partition_key_count;
    bool quoted; /**< Fields are quoted: OpenCSVSerde, which knows text alone; else
                  *   LazySimpleSerDe, which knows types and no quotes. */
    const struct sigv4_pair *parameters; /**< Beside ours. */
    unsigned parameter_count;
};
/** What is there: `version` is its VersionId ("" if none), the rest as in glue_table. */
typedef void glue_table_fn(const struct glue_table *table, const char *version,
                           const struct err *err, void *arg);
struct aws_call *glue_table_get(struct aws *aws, const char *database, const char *name,
                                glue_table_fn *done, void *arg);
struct aws_call *glue_table_create(struct aws *aws, const struct glue_table *table,
                                   glue_done_fn *done, void *arg);
/** A new version; `version` is the one it follows ("": whichever), RC_CONFLICT if it is not. */
struct aws_call *glue_table_update(struct aws *aws, const struct glue_table *table,
                                   const char *version, glue_done_fn *done, void *arg);

struct glue_partition {
    const char *const *values; /**< In the order of the table's keys. */
    const char *location;
};
/** `known` of them were there already, and are as they were. */
typedef void glue_partitions_fn(unsigned known, const struct err *err, void *arg);
/** At most GLUE_PARTITIONS_CREATE; columns and format are the table's. `err` names the first that
 * failed. */
struct aws_call *glue_partitions_create(struct aws *aws, const struct glue_table *table,
                                        const struct glue_partition *partitions, unsigned count,
                                        glue_partitions_fn *done, void *arg);
/** The same of partitions that are there. */
struct aws_call *glue_partitions_update(struct aws *aws, const struct glue_table *table,
                                        const struct glue_partition *partitions, unsigned count,
                                        glue_done_fn *done, void *arg);
/** At most GLUE_PARTITIONS_DELETE; those that are not there are no error. */
struct aws_call *glue_partitions_delete(struct aws *aws, const struct glue_table *table,
                                        const struct glue_partition *partitions, unsigned count,
                                        glue_done_fn *done, void *arg);
