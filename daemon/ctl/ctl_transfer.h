/** @file
 * Files on their way into a store: what `upload` and `copy` share. First a plan (what is there,
 * what would be moved), then the transfers, several at a time, then a report.
 *
 * How a file moves depends on its ends: within one S3 without passing through us, from a disk to S3
 * and between disks by the stores' own ways, from S3 to a disk or to another S3 as a stream.
 * All but those between disks go on where an interrupted run has left them.
 *
 * One file that fails does not keep the others; each failure is told at the end.
 *
 * Thread:     one; calls wait.
 * Ownership:  ctl_transfer_done() frees everything, the stores included.
 */
#pragma once

#include "daemon/ctl/ctl.h"
#include "daemon/ctl/ctl_note.h"
#include "daemon/ctl/ctl_run.h"

enum ctl_item_state {
    CTL_ITEM_PLANNED,
    CTL_ITEM_PRESENT, /**< The same size, and not older: complete from an earlier run. */
    CTL_ITEM_MOVED,
    CTL_ITEM_FAILED
};

struct ctl_item {
    char *from;   /**< A local path, or a key of the store `from`. */
    char *to;     /**< A key. */
    char *second; /**< Where else the source may have it, and its key then; NULL: nowhere. */
    enum ctl_item_state state;
    struct err err; /**< Of a failed one. */

    /* What the plan has found */
    struct ctl_transfer *transfer;
    uint64_t size, moved;
    int64_t modified_ms;
    struct ctl_note *note; /**< Of an upload in parts, while it is under way; NULL: none. */
    char *etag;            /**< Of an object. No version: to name one needs a right of its own. */
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

    /* While a plan or the transfers are under way */
    bool (*begin)(struct ctl_item *item);
    unsigned next, busy, width, over;
    struct ctl_progress *progress;
    uint64_t total_bytes;
    bool noteless; /**< It was told that no notes can be kept. */
};

void ctl_transfer_done(struct ctl_transfer *transfer);
static inline void ctl_transfer_done_ptr(struct ctl_transfer *transfer)
{
    ctl_transfer_done(transfer);
}

struct ctl_item *ctl_transfer_add(struct ctl_transfer *transfer, const char *from, const char *to);
/** The target, if it is there, so that the plan can look into it. */
enum rc ctl_transfer_open_target(struct ctl_transfer *transfer, struct err *err);
/** Of each item: the size, whether it is there, whether it can be moved at all. */
void ctl_transfer_plan(struct ctl_transfer *transfer);
/** Moves what is planned, and makes it durable. */
void ctl_transfer_run(struct ctl_transfer *transfer);
/** Tells how it went, each failure on standard error; the command's exit code. */
enum ctl_exit ctl_transfer_report(struct ctl_transfer *transfer);
/** The plan alone, as a table. */
enum ctl_exit ctl_transfer_show(struct ctl_transfer *transfer);
