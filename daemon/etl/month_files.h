/** @file
 * The CSV files of a part, one a month: lines are kept an event, written in the order of the rows.
 *
 * Thread:     the loop's; the files are put together on a worker.
 * Completion: month_files_put() calls `done` later, exactly once.
 */
#pragma once

#include "daemon/etl/etl_p.h"

struct month_files;

/** `key` makes the key of a month's file; the caller of it frees what it gives. `header` is static.
 */
typedef char *month_key_fn(const struct etl *etl, enum sevir_type type, int year, int month);

struct month_files *month_files_new(struct etl *etl, enum job_output_kind kind, const char *header,
                                    month_key_fn *key);
/** Requires: nothing in flight. */
void month_files_free(struct month_files *files);
/** Name the keys of every month that etl->rows touch, for etl_plan(). */
void month_files_plan(struct month_files *files);
/** The lines of etl->rows[index]; the text is taken over. */
void month_files_add(struct month_files *files, size_t index, char *lines, size_t len,
                     uint64_t line_count);
/** Put every file and add it to the outputs. */
void month_files_put(struct month_files *files, store_done_fn *done, void *arg);
