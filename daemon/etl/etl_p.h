/** @file
 * Private to daemon/etl/: one extraction, and the parts it is made of.
 *
 * etl_run() in etl.c tells the story. A part (frames, flashes, table_csv, catalog_csv) makes the
 * outputs of one kind of object; it reports through etl_part_done().
 *
 * Thread:     the loop's, unless a function says that it runs on a lane.
 */
#pragma once

#include "daemon/catalog/catalog_tables.h"
#include "daemon/etl/etl.h"
#include "daemon/job/job_clean.h"
#include "daemon/job/job_lease.h"
#include "daemon/job/job_manifest.h"
#include "daemon/services.h"
#include "lib/base/arena.h"
#include "lib/data/layout.h"
#include "lib/sevir/catalog_row.h"

/** A selected row of the catalog. */
struct etl_row {
    const struct catalog_row *row;
    unsigned repeat; /**< 0, or: catalog_events_repeats(). */
};

struct etl {
    struct services *services;
    const struct conf *conf; /**< As it was when the stage started. */
    struct job *job;
    job_stage_done_fn *done;
    void *arg;

    enum etl_step {
        LOOK_UP,
        LEASE,
        READ_MANIFEST,
        ADOPT,
        CURRENT,
        CLAIM,
        WITHDRAW,
        MAKE,
        SYNC,
        DRAFT,
        CLEAN,
        END
    } step;
    enum job_clean_what clean; /**< At step CLEAN. */
    bool stop_asked;
    struct err err;         /**< Why it ended; rc is RC_OK when it got there by itself. */
    enum job_event outcome; /**< When `err` is not set. */
    char reason[256];       /**< With HELD and EXCLUDED. */

    struct arena *arena; /**< Rows, keys, notes. */
    int64_t source;
    bool lost;                        /**< The catalog has not what the crawl had put there. */
    struct layout *layout;            /**< "hdf5" */
    struct catalog_csv_schema schema; /**< "csv" */
    struct etl_row *rows; /**< Selected, by file_index and then as the catalog has them. */
    size_t row_count;
    size_t rows_known; /**< Of this file in the catalog, selected or not. */
    char events_digest[DIGEST_HEX], rows_digest[DIGEST_HEX];
    char *selection; /**< Canonical JSON. */

    /* Where other daemons publish to the same store (job_lease.h) */
    bool leased, robbed; /**< The claim is ours; it was, and is lost. */
    char robber[JOB_LEASE_WHO];
    int64_t again_ms;              /**< Another has it: when to look again. */
    bool again;                    /**< It is to be made whoever has published it. */
    struct job_manifest *vouching; /**< That was there, of this very version and these rows. */
    char *adopted;                 /**< The same, of another daemon: its text becomes our draft. */
    size_t adopted_len;

    char *withdrawn;     /**< Key of a manifest of another version; NULL: none. */
    char *taken, *owner; /**< A key that is another object's, and which; NULL: none. */

    const struct etl_part *part;
    void *part_state;

    const char **planned; /**< Keys that the part is going to write. */
    size_t planned_count, planned_cap;
    struct job_output *outputs; /**< What it wrote, in the manifest's order. */
    size_t output_count, output_cap;
    uint64_t events;
    const char *run; /**< Of a remote engine; NULL: none. */
    const char **notes;
    unsigned note_count;
};

/** The outputs of one kind of object. */
struct etl_part {
    const char *name;
    /** Decide what there is to do and call etl_plan() for each key. RC_OK, or: set etl->outcome to
     * EXCLUDED or HELD with a reason and answer RC_OK; nothing more happens then. */
    enum rc (*plan)(struct etl *etl, struct err *err);
    /** Do it; etl_part_done() later, exactly once. */
    void (*make)(struct etl *etl);
    /** Wind down; etl_part_done() still comes. May be called in make only. */
    void (*stop)(struct etl *etl);
    void (*free)(struct etl *etl);
};

extern const struct etl_part etl_frames, etl_flashes, etl_table_csv, etl_table_remote,
    etl_catalog_csv, etl_nothing;

/** `err` is NULL on success; never from inside make(). */
void etl_part_done(struct etl *etl, const struct err *err);
/** The key lives in the arena from then on. */
const char *etl_plan(struct etl *etl, const char *key);
/** Copies the key into the arena. */
void etl_add_output(struct etl *etl, const struct job_output *output);
void etl_note(struct etl *etl, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/** End in HELD or EXCLUDED, with a reason. */
void etl_end_early(struct etl *etl, enum job_event outcome, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/** Count what was put. */
void etl_count_put(struct etl *etl, uint64_t objects, uint64_t bytes);

/** What LOOK_UP reads from the catalog, on the read lane (select.c). */
enum rc etl_look_up(struct db *db, void *etl, struct err *err);
/** The same for "catalog": the text of its files (catalog_csv.c). */
enum rc etl_look_up_catalog(struct db *db, struct etl *etl, struct err *err);
/** After it, on the loop: which part makes this object's outputs. */
const struct etl_part *etl_choose_part(const struct etl *etl);
/** Cut `etl->rows` down to those of the selection that satisfy `wanted` types. */
void etl_select_rows(struct etl *etl, unsigned types);
