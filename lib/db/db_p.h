/** @file
 * What db_lane needs of a connection beside db.h.
 *
 * Thread:     as db.h.
 */
#pragma once

#include "lib/db/db.h"

/** Reset every statement and end what transaction is open, so that nothing is held between tasks.
 */
void db_settle(struct db *db);
