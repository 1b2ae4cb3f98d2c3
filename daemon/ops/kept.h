/** @file
 * Answers kept for whoever asks the same: several pages show one view, and all of them ask at the
 * moment something was published. The first makes the answer, the others wait for it or get a copy,
 * until the catalog is written to again.
 *
 * Thread:     the loop's.
 * Ownership:  a call that kept_take() has taken is answered here.
 */
#pragma once

#include "daemon/ops/ops_p.h"

struct kept;

struct kept *kept_new(void);
/** Requires: no answer is being made. */
void kept_free(struct kept *kept);
/** Answers the call, now or when the answer that is being made is there: true. Else false: the
 * caller makes the answer, and says so with kept_done(). `key` says what is asked for. */
bool kept_take(struct kept *kept, struct ops_call *call, const char *key, uint64_t version);
/** The answer to `key`; `err` when it could not be made. `body` is copied. */
void kept_done(struct kept *kept, const char *key, uint64_t version, const struct strbuf *body,
               const struct err *err);
