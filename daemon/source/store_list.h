/** @file
 * Listing the raw store: a page at a time through the store's interface, each page through the
 * intake before the next is asked for, so that a million keys are never in memory. What the journal
 * knows and the listing did not show is verified, and sighted as gone; an incomplete listing
 * declares nothing gone.
 *
 * One listing at a time; what is asked for meanwhile makes one more.
 *
 * Thread:     the loop's.
 * Completion: `ended` and a reconcile's `done` later, from the loop.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "daemon/source/settle.h"
#include "daemon/source/source.h"

struct store_listing;

/** After each listing; `complete`: without any error. */
typedef void store_list_ended_fn(bool complete, void *arg);

struct store_listing *store_list_new(struct services *services, struct settle *settle,
                                     store_list_ended_fn *ended, void *arg);
/** Requires: store_list_busy() is false. Answers a reconcile that was still to come. */
void store_list_free(struct store_listing *listing);

/** List in `delay_ms`, or earlier where that is asked for; but a listing that was not asked for by
 * name leaves as much time as it takes. */
void store_list_request(struct store_listing *listing, int64_t delay_ms);
void store_list_reconcile(struct store_listing *listing, source_reconciled_fn *done, void *arg);
/** Stops the listing under way after its page; `ended` tells. */
void store_list_pause(struct store_listing *listing, bool paused);
/** The interval may have changed. */
void store_list_reload(struct store_listing *listing);

bool store_list_busy(const struct store_listing *listing);
/** Whether one that was asked for (not by the interval) is under way or to come. */
bool store_list_wanted(const struct store_listing *listing);
/** The listing's part of the status. */
void store_list_status(const struct store_listing *listing, struct source_status *ret_status);
