/** @file
 * A crawl under way, as the files of this room share it. crawl.c tells the story.
 */
#pragma once

#include "daemon/catalog/catalog_tables.h"
#include "daemon/crawl/classify.h"
#include "daemon/crawl/csv_schema.h"
#include "daemon/job/job.h"
#include "daemon/services.h"

struct crawl_csv;

struct crawl {
    struct services *services;
    struct job *job;
    job_stage_done_fn *done;
    void *arg;
    struct arena *arena;

    enum crawl_step {
        CRAWL_HEAD,
        CRAWL_SNIFF,
        CRAWL_CLASSIFY,
        CRAWL_LOOK,
        CRAWL_REMOTE,
        CRAWL_RECORD,
        CRAWL_CLEAN,
        CRAWL_END
    } step;
    bool stop_asked;
    struct err err;       /**< rc is RC_OK while all is well. */
    char reason[256];     /**< What was found, for people. */
    bool catalog_changed; /**< Rows of `events` came or went. */

    char *head; /**< The object's first bytes. */
    size_t head_len;
    enum classify class_;
    bool packed; /**< It begins as gzip does. */

    struct store_op *fetch;
    struct h5_call *probe;
    struct layout *layout;
    struct crawl_csv *csv;
    bool sniffs; /**< Of a CSV object, only who it is: the rest is learnt elsewhere. */
    char *run;   /**< Of the remote engine; NULL: none. */

    /* What a look at a CSV object gave. */
    bool is_catalog;
    int64_t load; /**< Of the catalog's rows; 0: none begun. */
    uint64_t rows;
    struct catalog_csv_schema schema;

    /* For the job, by crawl_record(); strings are the arena's. */
    const char *kind, *table;
};

/** An asynchronous step has ended. */
void crawl_step_done(const struct err *err, void *arg);

/** Read the whole object through the CSV reader; ends in crawl_step_done(). */
void crawl_csv_start(struct crawl *crawl);
void crawl_csv_stop(struct crawl *crawl);
void crawl_csv_free(struct crawl *crawl);

/** On the catalog's writer: all that was found, in one transaction. */
enum rc crawl_record(struct db *db, void *arg, struct err *err);
