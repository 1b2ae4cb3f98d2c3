/** @file
 * Messages of queues that nobody could read: kept in state.db before they leave the queue, so that
 * nothing is dropped, until an operator has looked at them.
 *
 * Thread:     the functions run on a lane, as lib/db/db_lane.h has them.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/db/db.h"

#define UNREAD_MAX 10000 /**< More are left in their queues. */

struct unread_message {
    const char *queue, *message; /**< Its URL, and the id that the queue gave. */
    const char *body, *reason;
    unsigned receives;
};

/** On the writer. One that is known has come again. RC_LIMIT: there are too many. */
enum rc unread_keep(struct db *db, const struct unread_message *unread, struct err *err);
/** On the writer: an operator has seen it. RC_NOT_FOUND. */
enum rc unread_drop(struct db *db, uint64_t id, struct err *err);
