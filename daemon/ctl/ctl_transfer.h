/** @file
 * Files on their way into a store: what `upload` and `copy` share. First a plan (what is there,
 * what would be moved), then the transfers one after another, then a report.
 *
 * One file that fails does not keep the others; each failure is told at the end.
 *
 * Thread:     one; calls wait.
 * Ownership:  ctl_transfer_done() frees everything, the stores included.
 */
#pragma once

#include "daemon/ctl/ctl.h"
#include "daemon/ctl/ctl_run.h"

enum ctl_item_state {
    CTL_ITEM_PLANNED,
    CTL_ITEM_PRESENT, /**< The same size, and not older: complete from an earlier run. */
    CTL_ITEM_MOVED,
    CTL_ITEM_FAILED
};

struct ctl_item {
    char *from; /**< A local path, or a key of the store `from`. */
    char *to;   /**< A key. */
    uint64_t size;
    enum ctl_item_state state;
    struct err err; /**< Of a failed one. */
};

struct ctl_transfer {
    struct ctl *ctl;
    struct ctl_run *run;
    struct store *from;    /**< NULL: local files. */
    struct store *to;      /**< NULL until there is something to write, if it is to be made. */
    struct uri *to_uri;    /**< Where `to` is or will be. */
    const char *done_word; /**< "uploaded" */
    bool skip_present;
    struct ctl_item *items;
    unsigned count;
};

void ctl_transfer_done(struct ctl_transfer *transfer);
static inline void ctl_transfer_done_ptr(struct ctl_transfer *transfer)
{
    ctl_transfer_done(transfer);
}

/** A URI or path, relative to the working directory. */
enum rc ctl_transfer_uri(const char *text, struct uri **ret_uri, struct err *err);
struct ctl_item *ctl_transfer_add(struct ctl_transfer *transfer, const char *from, const char *to);
/** RC_NOT_FOUND when it is not there. */
enum rc ctl_transfer_head(struct ctl_transfer *transfer, struct store *store, const char *key,
                          uint64_t *ret_size, int64_t *ret_modified_ms, struct err *err);
/** Item by item: the size, whether it is there, whether it can be moved at all. */
void ctl_transfer_plan(struct ctl_transfer *transfer);
/** Moves what is planned, and makes it durable. */
void ctl_transfer_run(struct ctl_transfer *transfer);
/** Tells how it went, each failure on standard error; the command's exit code. */
enum ctl_exit ctl_transfer_report(struct ctl_transfer *transfer);
/** The plan alone, as a table. */
enum ctl_exit ctl_transfer_show(struct ctl_transfer *transfer);
