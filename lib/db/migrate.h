/** @file
 * Upgrade of a database's schema, step by step, each in its own transaction.
 *
 * The number of steps taken is the file's `user_version`. A file that is newer than the program is
 * refused with a message that names both versions; nothing is changed then.
 */
#pragma once

#include "lib/db/db.h"

/** `steps[i]` is the SQL that leads from version i to i + 1. `what` names the file in errors. */
enum rc migrate(struct db *db, const char *what, const char *const *steps, int count,
                struct err *err);
