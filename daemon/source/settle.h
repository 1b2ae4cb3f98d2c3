/** @file
 * Objects on their way to the intake: each waits until it has been unchanged for `sources.settle`
 * and nobody has it open for writing, then it is sighted. What is gone by then is sighted as gone.
 *
 * The set is bounded (SETTLE_MAX): what does not fit is left to a later listing.
 *
 * Thread:     the loop's.
 * Completion: `left_over` and `stopped` later, from the loop.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "daemon/intake/intake.h"
#include "lib/store/store.h"

#define SETTLE_MAX 10000
#define SETTLE_BATCH 256

struct services;
struct settle;

/** Something could not be looked at, or did not fit: list in `delay_ms`. */
typedef void settle_left_over_fn(int64_t delay_ms, void *arg);

struct settle *settle_new(struct services *services, settle_left_over_fn *left_over, void *arg);
/** Requires: settle_busy() is false. */
void settle_free(struct settle *settle);

/** How long until an object of that time may be taken: 0 for at once, at most `settle_ms`, so that
 * a time in the future does not hold it up for ever. */
int64_t settle_wait_ms(int64_t modified_ms, int64_t settle_ms, int64_t now_ms);

/** Something happened to `key`: look at it. */
void settle_look(struct settle *settle, const char *key, enum sighting_source source);
/** A listing showed this object: look again in `wait_ms`. False when there is no room. */
bool settle_add(struct settle *settle, const struct store_object *object, int64_t wait_ms,
                enum sighting_source source);
bool settle_has(const struct settle *settle, const char *key);
unsigned settle_count(const struct settle *settle);

/** While paused nothing is begun; what is held stays. */
void settle_pause(struct settle *settle, bool paused);
/** Whether a batch is under way. `rested` is called when it ends, if it is paused then. */
bool settle_busy(const struct settle *settle);
void settle_on_rest(struct settle *settle, void (*rested)(void *arg), void *arg);
