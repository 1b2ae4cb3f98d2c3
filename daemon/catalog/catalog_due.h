/** @file
 * What another catalog (AWS Glue's) has not been told of yet: tables of the database `processed`
 * and their partitions, as they came, changed or went. Triggers note it in the very transaction, so
 * nothing is forgotten, and what was there before anybody asked is due as well.
 *
 * Thread:     a lane's.
 */
#pragma once

#include "daemon/catalog/catalog_tables.h"

struct catalog_due_part {
    int64_t serial;     /**< Changes whenever the same is due anew. */
    const char *values; /**< "year=2019/month=01"; "": the table itself. */
    const char *location;
    bool gone;
};

/** What is due of one table. */
struct catalog_due {
    struct catalog_table table; /**< As it is now. */
    const struct catalog_due_part *parts;
    unsigned count; /**< 0: nothing is due at all. */
};

#define CATALOG_DUE_MAX 1000

/** Of the table whose turn it is, at most CATALOG_DUE_MAX; strings live in `arena`. */
enum rc catalog_due_read(struct db *db, struct arena *arena, struct catalog_due *ret_due,
                         struct err *err);
/** They have been told; what became due anew meanwhile stays. */
enum rc catalog_due_done(struct db *db, const struct catalog_due_part *parts, unsigned count,
                         struct err *err);
