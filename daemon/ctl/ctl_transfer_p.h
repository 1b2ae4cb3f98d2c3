/** @file
 * What the parts of a transfer share: ctl_transfer.c (the items, the report), ctl_transfer_plan.c
 * and ctl_transfer_move.c.
 *
 * Thread:     one.
 */
#pragma once

#include "daemon/ctl/ctl_transfer.h"

/** Calls `begin` for every item that is planned, `width` at a time, and waits. It says whether the
 * item is under way; ctl_transfer_over() ends it then, later. */
void ctl_transfer_each(struct ctl_transfer *transfer, unsigned width,
                       bool (*begin)(struct ctl_item *item));
void ctl_transfer_over(struct ctl_item *item);
void ctl_transfer_fail(struct ctl_item *item, const struct err *err);
uint64_t ctl_transfer_bytes(const struct ctl_transfer *transfer, enum ctl_item_state state);
unsigned ctl_transfer_count(const struct ctl_transfer *transfer, enum ctl_item_state state);
