/** @file
 * What a selection would have the daemon do with what lies in the raw store, counted before
 * anything is done: the catalogs are read, the files of selected events are looked into (their
 * layouts, not their pixels), and the rest is arithmetic that the daemon does in the same way.
 *
 * It is counted as for a daemon that has done nothing yet.
 *
 * Thread:     one.
 */
#pragma once

#include "daemon/conf/conf.h"
#include "daemon/ctl/ctl_run.h"

struct ctl_plan_wish {
    const char *raw_uri; /**< A store; NULL: there is only the catalog, its files are taken as it
                          *   describes them. */
    const char *catalog; /**< Only this catalog; NULL: those in the store. */
    const struct selection *selection;
    enum conf_images images;
};

struct ctl_plan {
    uint64_t listed, listed_bytes; /**< Objects in the store. */
    uint64_t catalog_rows, selected_rows;
    struct ctl_plan_type {
        uint64_t objects, object_bytes; /**< That have selected events. */
        uint64_t events, frames;
        uint64_t fetch_bytes, needed_bytes; /**< Of pixels and flashes. */
        uint64_t fetches;                   /**< Runs of rows that are fetched together. */
    } types[SEVIR_TYPE_COUNT];
    uint64_t catalogs, tables, tables_bytes, excluded, waiting, other;
    uint64_t foreign; /**< HDF5 files that are not SEVIR's: noted in the data catalog. */
    uint64_t missing; /**< Files of selected events that the store does not have, */
    uint64_t missing_events;
    /* outputs */
    uint64_t frames_files, flashes_files, catalog_files, table_files;
    uint64_t images, sheets, packed, manifests;
    struct strbuf problems; /**< A line for each object that would fail. */
    uint64_t problem_count;
};

void ctl_plan_done(struct ctl_plan *plan);
static inline void ctl_plan_done_ptr(struct ctl_plan *plan)
{
    ctl_plan_done(plan);
}
/** `ret_plan` is the caller's to ctl_plan_done(), also after an error. */
enum rc ctl_plan_make(struct ctl_run *run, const struct ctl_plan_wish *wish,
                      struct ctl_plan *ret_plan, struct err *err);
