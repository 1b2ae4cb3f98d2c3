#include "lib/base/budget.h"

#include <assert.h>
#include <inttypes.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"

struct budget {
    uint64_t limit, granted, waiting;
    struct budget_ticket *first, *last; /**< The line. */
    unsigned holders;                   /**< Tickets that hold a grant. */
    bool granting; /**< grant_line() is running: calls from inside only note. */
};

struct budget *budget_new(uint64_t limit_bytes)
{
    struct budget *budget = mem_new(struct budget);

    budget->limit = limit_bytes;
    return budget;
}

void budget_free(struct budget *budget)
{
    if (budget == NULL) {
        return;
    }
    assert(budget->first == NULL && budget->holders == 0);
    free(budget);
}

static bool has_room(const struct budget *budget, uint64_t bytes)
{
    if (bytes > budget->limit) {
        return budget->granted == 0;
    }
    return budget->granted <= budget->limit && bytes <= budget->limit - budget->granted;
}

static void line_up(struct budget *budget, struct budget_ticket *ticket)
{
    ticket->state = BUDGET_WAITING;
    ticket->prev = budget->last;
    ticket->next = NULL;
    if (budget->last != NULL) {
        budget->last->next = ticket;
    } else {
        budget->first = ticket;
    }
    budget->last = ticket;
    budget->waiting += ticket->bytes;
}

static void leave_line(struct budget *budget, struct budget_ticket *ticket)
{
    if (ticket->prev != NULL) {
        ticket->prev->next = ticket->next;
    } else {
        budget->first = ticket->next;
    }
    if (ticket->next != NULL) {
        ticket->next->prev = ticket->prev;
    } else {
        budget->last = ticket->prev;
    }
    ticket->prev = ticket->next = NULL;
    ticket->state = BUDGET_IDLE;
    budget->waiting -= ticket->bytes;
}

/** Grants in the order of asking: nobody passes a large one that waits for room. Callbacks may
 * acquire and release; those calls leave the granting to the loop that is already here. */
static void grant_line(struct budget *budget)
{
    if (budget->granting) {
        return;
    }
    budget->granting = true;
    while (budget->first != NULL && has_room(budget, budget->first->bytes)) {
        struct budget_ticket *ticket = budget->first;

        leave_line(budget, ticket);
        ticket->state = BUDGET_GRANTED;
        budget->granted += ticket->bytes;
        budget->holders++;
        ticket->granted(ticket, ticket->arg);
    }
    budget->granting = false;
}

enum rc budget_acquire(struct budget *budget, struct budget_ticket *ticket, uint64_t bytes,
                       budget_granted_fn *granted, void *arg, struct err *err)
{
    char wanted[24], limit[24];

    assert(ticket->state == BUDGET_IDLE);
    if (bytes / BUDGET_WHALE > budget->limit ||
        (bytes / BUDGET_WHALE == budget->limit && bytes % BUDGET_WHALE > 0)) {
        return err_set(err, RC_LIMIT,
                       "needs %s of memory at once (%" PRIu64 " bytes), more than %d times the "
                       "memory budget of %s (%" PRIu64 " bytes)",
                       str_from_bytes(bytes, wanted), bytes, BUDGET_WHALE,
                       str_from_bytes(budget->limit, limit), budget->limit);
    }
    ticket->bytes = bytes;
    ticket->granted = granted;
    ticket->arg = arg;
    line_up(budget, ticket);
    grant_line(budget);
    return RC_OK;
}

void budget_release(struct budget *budget, struct budget_ticket *ticket)
{
    switch (ticket->state) {
    case BUDGET_IDLE:
        return;
    case BUDGET_WAITING:
        leave_line(budget, ticket);
        break;
    case BUDGET_GRANTED:
        ticket->state = BUDGET_IDLE;
        budget->granted -= ticket->bytes;
        budget->holders--;
        break;
    }
    ticket->bytes = 0;
    grant_line(budget);
}

void budget_shrink(struct budget *budget, struct budget_ticket *ticket, uint64_t bytes)
{
    assert(ticket->state == BUDGET_GRANTED && bytes <= ticket->bytes);
    ticket->bytes -= bytes;
    budget->granted -= bytes;
    grant_line(budget);
}

uint64_t budget_limit(const struct budget *budget)
{
    return budget->limit;
}

void budget_set_limit(struct budget *budget, uint64_t limit_bytes)
{
    budget->limit = limit_bytes;
    grant_line(budget);
}

uint64_t budget_granted(const struct budget *budget)
{
    return budget->granted;
}

uint64_t budget_waiting(const struct budget *budget)
{
    return budget->waiting;
}
