/** @file
 * A window of units in flight: fetch on the loop, decode and render on a worker, put on the loop.
 *
 * A unit is a few rows of one dataset: an event, the events that share a chunk, or a run of small
 * ones. Its memory is granted by the budget before it is fetched. Its buffers are kept for the next
 * unit as long as no other window or stage waits for memory; but of a unit that would leave another
 * worker without one, what was fetched goes as soon as it is decoded.
 *
 * Thread:     the loop's, but for `work`, which runs on a worker that owns the unit meanwhile.
 * Completion: etl_part_done() once, when every unit has ended.
 */
#pragma once

#include "daemon/etl/etl_p.h"
#include "daemon/etl/event_render.h"
#include "lib/h5/h5_slab.h"

struct units;

/** What one unit is about. */
struct unit_item {
    const struct layout_dataset *dataset;
    uint64_t first, count; /**< Rows of the dataset. */
    size_t from, to;       /**< Its events: etl->rows[from .. to). */
    uint64_t render_bytes; /**< What `work` will hold beside the rows, by estimate. */
    bool by_frames;        /**< Rows are decoded to frames, [row][T][H][W]. */
};

/** A worker's own memory, lent to the unit it works on: there are as many as workers, not as units.
 */
struct desk {
    struct event_scratch scratch;
    struct h5_buffer rows, inflating;
    bool taken;
};

struct unit {
    struct units *units;
    const struct unit_item *item;
    struct budget_ticket ticket;
    struct h5_slab *slab;
    struct h5_buffer fetched; /**< Kept for the next item. */
    struct desk *desk;        /**< While at work. */
    struct unit *next_ready;  /**< In line for a desk. */
    struct event_output output;
    struct err err;
    struct store_put *puts; /**< Made from `output` for the put. */
    bool fetching;
};

struct units_ops {
    /** On a worker: `rows` are decoded, native, in the order of the item. Fills unit->output. */
    enum rc (*work)(const struct etl *etl, struct unit *unit, const uint8_t *rows, struct err *err);
    /** On the loop, after the puts: keep what is to be kept of unit->output. */
    void (*collect)(struct etl *etl, struct unit *unit);
    /** On the loop, once all have ended well: what is left to do; etl_part_done() is its to call.
     */
    void (*complete)(struct etl *etl);
};

/** Bytes that a unit may take if each worker is to have one, and one may be fetched meanwhile. */
uint64_t units_share(const struct etl *etl);
/** `items` is taken over. */
struct units *units_new(struct etl *etl, const struct units_ops *ops, struct unit_item *items,
                        size_t count);
void units_start(struct units *units);
/** Cancel what can be; it ends in RC_CANCELED. */
void units_stop(struct units *units);
/** Requires: not started, or ended. */
void units_free(struct units *units);
