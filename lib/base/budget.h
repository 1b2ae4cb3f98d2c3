/** @file
 * The memory budget: bytes are granted before work starts, in the order they were asked for.
 *
 * A ticket is either granted or waits in line; its `granted` callback runs when its turn has come.
 * RSS is bounded by the budget, not by the backlog or by a file. A request larger than the whole
 * budget is granted when it is alone, so that nothing waits for ever; one larger than
 * `BUDGET_WHALE` times the limit is refused with RC_LIMIT and a message that names both numbers.
 *
 * Thread:     the loop's.
 * Completion: `granted` runs exactly once: from inside budget_acquire() when there is room and
 *             nobody is in line, else later from inside a budget_release(). Callers defer if they
 *             cannot be re-entered.
 * Ownership:  the caller owns the ticket's memory, which must stay until it is released.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/rc.h"
#include "lib/base/scope.h"

#define BUDGET_WHALE 4

struct budget;
struct budget_ticket;
typedef void budget_granted_fn(struct budget_ticket *ticket, void *arg);

struct budget_ticket {
    uint64_t bytes;
    enum { BUDGET_IDLE, BUDGET_WAITING, BUDGET_GRANTED } state;
    budget_granted_fn *granted;
    void *arg;
    struct budget_ticket *prev, *next; /**< In line; budget.c only. */
};

struct budget *budget_new(uint64_t limit_bytes);
/** Requires: no ticket granted or waiting. */
void budget_free(struct budget *budget);
SCOPED_FN(struct budget, budget_free)

enum rc budget_acquire(struct budget *budget, struct budget_ticket *ticket, uint64_t bytes,
                       budget_granted_fn *granted, void *arg, struct err *err);
/** Return what was granted, or leave the line; nothing for an idle ticket. */
void budget_release(struct budget *budget, struct budget_ticket *ticket);
/** Give part of a granted ticket back early. Requires `bytes` <= ticket->bytes. */
void budget_shrink(struct budget *budget, struct budget_ticket *ticket, uint64_t bytes);

uint64_t budget_limit(const struct budget *budget);
/** After a reload; what is granted stays granted. */
void budget_set_limit(struct budget *budget, uint64_t limit_bytes);
uint64_t budget_granted(const struct budget *budget);
/** Bytes in line. */
uint64_t budget_waiting(const struct budget *budget);
