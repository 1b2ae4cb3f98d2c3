/** @file
 * Whether the raw store still lies where it lay.
 *
 * A file system that is not mounted looks like a store from which everything was deleted. So when
 * another directory or file system is in the place of the root, and it has none of the objects that
 * were known, nothing is taken for deleted until the old place is back, or an operator says that it
 * is right (`reconcile`).
 *
 * Thread:     the loop's.
 */
#pragma once

#include "daemon/services.h"

struct raw_place;

struct raw_place *raw_place_new(struct services *services);
/** Requires: no raw_place_load() under way. */
void raw_place_free(struct raw_place *place);
/** What was noted in state.db; later, exactly once. Only the first call reads. */
void raw_place_load(struct raw_place *place, store_done_fn *done, void *arg);
/** After a whole listing, in which the objects known of were all missing, some of them, or none:
 * RC_IO when they must not be taken for deleted. `accepted`: an operator says that they may. */
enum raw_missing { RAW_MISSING_NONE, RAW_MISSING_SOME, RAW_MISSING_ALL };
enum rc raw_place_check(struct raw_place *place, enum raw_missing missing, bool accepted,
                        struct err *err);
