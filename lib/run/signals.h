/** @file
 * Signals as callbacks on the loop.
 *
 * Thread:     the loop's. SIGPIPE is ignored by the whole process from signals_start() on.
 * Ownership:  the caller owns the handle until signals_stop(), which takes effect at once.
 */
#pragma once

#include "lib/run/loop.h"

struct signals;
typedef void signals_fn(int number, void *arg);

/** First of all in main(): one of these that comes before signals_start() watches for it waits
 * until then, rather than end the process. */
void signals_hold(int number);
/** `numbers` ends with 0; those that were held are let through. A watched signal does not keep the
 * loop alive. */
struct signals *signals_start(struct loop *loop, const int *numbers, signals_fn *fn, void *arg);
void signals_stop(struct signals *signals);
SCOPED_FN(struct signals, signals_stop)
