/** @file
 * The window of units. A unit goes round: ticket, fetch, work, put, and takes the next item; when
 * there is none, or something failed, it ends.
 */
#include "daemon/etl/units.h"

#include "daemon/metrics.h"
#include "lib/base/mem.h"

struct units {
    struct etl *etl;
    const struct units_ops *ops;
    struct unit_item *items;
    size_t item_count, next;
    struct unit *units;
    unsigned width, alive;
    struct desk *desks;
    unsigned desk_count;
    struct unit *first_ready, *last_ready; /**< Fetched, and waiting for a desk. */
    bool stopping;
    struct err err; /**< The first that went wrong. */
};

static void unit_next(struct unit *unit);

static void desk_clear(struct desk *desk)
{
    event_scratch_done(&desk->scratch);
    h5_buffer_free(&desk->rows);
    h5_buffer_free(&desk->inflating);
}

/** How many units fetch or put while every worker works: a disk does either in a fraction of the
 * time that working takes, a bucket in a multiple of it. */
static unsigned units_away(const struct services *services, unsigned workers)
{
    const bool near =
        services->raw->uri->scheme == URI_FILE && services->processed->uri->scheme == URI_FILE;

    return near ? (workers + 1) / 2 : workers + 2;
}

uint64_t units_share(const struct etl *etl)
{
    const unsigned workers = work_width(etl->services->work, WORK_CPU);

    return etl->conf->extract_memory_bytes / MAX_OF(workers, 2u);
}

struct units *units_new(struct etl *etl, const struct units_ops *ops, struct unit_item *items,
                        size_t count)
{
    struct units *units = mem_new(struct units);
    const unsigned workers = work_width(etl->services->work, WORK_CPU);
    const size_t width = workers + units_away(etl->services, workers);

    *units = (struct units){
        .etl = etl,
        .ops = ops,
        .items = items,
        .item_count = count,
        .width = (unsigned)MIN_OF(width, MAX_OF(count, 1)),
    };
    units->desk_count = MIN_OF(workers, units->width);
    units->desks = mem_zeroed(units->desk_count * sizeof(*units->desks));
    units->units = mem_zeroed(units->width * sizeof(*units->units));
    for (unsigned i = 0; i < units->width; i++) {
        units->units[i].units = units;
    }
    return units;
}

void units_free(struct units *units)
{
    if (units == NULL) {
        return;
    }
    for (unsigned i = 0; i < units->width; i++) {
        event_output_done(&units->units[i].output);
        h5_buffer_free(&units->units[i].fetched);
        free(units->units[i].puts);
    }
    for (unsigned i = 0; i < units->desk_count; i++) {
        desk_clear(&units->desks[i]);
    }
    free(units->desks);
    free(units->units);
    free(units->items);
    free(units);
}

/** All that its ticket stands for, and what no unit at work uses of the desks. */
static void unit_let_go(struct unit *unit)
{
    struct units *units = unit->units;

    h5_slab_free(TAKE(unit->slab));
    h5_buffer_free(&unit->fetched);
    event_output_done(&unit->output);
    for (unsigned i = 0; i < units->desk_count; i++) {
        if (!units->desks[i].taken) {
            desk_clear(&units->desks[i]);
        }
    }
    budget_release(unit->units->etl->services->budget, &unit->ticket);
}

/** Its last act; the last unit's is to end the whole. */
static void unit_end(struct unit *unit)
{
    struct units *units = unit->units;

    unit_let_go(unit);
    if (--units->alive > 0) {
        return;
    }
    if (units->err.rc != RC_OK) {
        etl_part_done(units->etl, &units->err);
    } else {
        units->ops->complete(units->etl);
    }
}

static void unit_fail(struct unit *unit, const struct err *err)
{
    struct units *units = unit->units;

    if (units->err.rc == RC_OK) {
        units->err = *err;
    }
    unit_end(unit);
}

static void on_put(const struct err *err, void *arg)
{
    struct unit *unit = arg;
    struct units *units = unit->units;

    free(TAKE(unit->puts));
    if (err != NULL) {
        unit_fail(unit, err);
        return;
    }
    if (unit->output.picture_count > 0) {
        etl_count_put(units->etl, unit->output.picture_count, unit->output.png_bytes);
    }
    units->ops->collect(units->etl, unit);
    unit_next(unit);
}

static void unit_put(struct unit *unit)
{
    const struct event_output *output = &unit->output;

    if (output->picture_count == 0) {
        on_put(NULL, unit);
        return;
    }
    unit->puts = mem_resize(NULL, output->picture_count, sizeof(*unit->puts));
    for (unsigned i = 0; i < output->picture_count; i++) {
        unit->puts[i] = (struct store_put){
            .key = output->pictures[i].key,
            .bytes = output->pictures[i].png.data,
            .len = output->pictures[i].png.len,
            .content_type = "image/png",
        };
    }
    store_put(unit->units->etl->services->processed, unit->puts, output->picture_count, on_put,
              unit);
}

static void run_work(void *arg)
{
    struct unit *unit = arg;
    uint8_t *rows = NULL;

    h5_slab_lend_rows(unit->slab, &unit->desk->rows, &unit->desk->inflating);
    if (h5_slab_decode(unit->slab, &rows, &unit->err) == RC_OK) {
        unit->units->ops->work(unit->units->etl, unit, rows, &unit->err);
    }
}

static void seat_ready(struct units *units);

static void on_worked(void *arg, bool canceled)
{
    struct unit *unit = arg;

    (void)canceled; /* units are never withdrawn from the lane */
    h5_slab_free(TAKE(unit->slab));
    TAKE(unit->desk)->taken = false;
    seat_ready(unit->units);
    if (unit->err.rc != RC_OK) {
        unit_fail(unit, &unit->err);
        return;
    }
    unit_put(unit);
}

/** The first in line, if there are a line and a desk. */
static void seat_ready(struct units *units)
{
    struct unit *unit = units->first_ready;

    for (unsigned i = 0; unit != NULL && i < units->desk_count; i++) {
        if (!units->desks[i].taken) {
            units->first_ready = TAKE(unit->next_ready);
            unit->desk = &units->desks[i];
            unit->desk->taken = true;
            work_submit(units->etl->services->work, WORK_CPU, run_work, on_worked, unit);
            return;
        }
    }
}

static void line_up(struct unit *unit)
{
    struct units *units = unit->units;

    if (units->first_ready != NULL) {
        units->last_ready->next_ready = unit;
    } else {
        units->first_ready = unit;
    }
    units->last_ready = unit;
    seat_ready(units);
}

static void on_fetched(const struct err *err, void *arg)
{
    struct unit *unit = arg;
    struct services *services = unit->units->etl->services;

    unit->fetching = false;
    if (err != NULL) {
        unit_fail(unit, err);
        return;
    }
    metric_add(services->metrics, METRIC_FETCH_BYTES, METRIC_LABELS(""),
               (double)h5_slab_fetch_bytes(unit->slab));
    metric_add(services->metrics, METRIC_FETCH_NEEDED_BYTES, METRIC_LABELS(""),
               (double)h5_slab_needed_bytes(unit->slab));
    line_up(unit);
}

static void unit_fetch(void *arg)
{
    struct unit *unit = arg;

    if (unit->units->stopping) {
        unit_next(unit);
        return;
    }
    unit->fetching = true;
    h5_slab_fetch(unit->slab, on_fetched, unit);
}

static void on_granted(struct budget_ticket *ticket, void *arg)
{
    struct unit *unit = arg;

    (void)ticket;
    loop_defer(unit->units->etl->services->loop, unit_fetch, unit);
}

static enum rc unit_open(struct unit *unit, struct err *err)
{
    const struct etl *etl = unit->units->etl;
    const struct unit_item *item = unit->item;
    const struct h5_object object = {
        .store = etl->services->raw,
        .key = etl->job->object.key,
        .version = etl->job->object.version,
        .etag = etl->job->object.etag,
        .size = etl->job->object.size,
    };

    if (h5_slab_open(etl->services->h5, &object, etl->layout, item->dataset, item->first,
                     item->count, &unit->slab, err) != RC_OK) {
        return err->rc;
    }
    if (item->by_frames) {
        h5_slab_by_frames(unit->slab);
    }
    return RC_OK;
}

/** Lend the slab the buffer to fetch into, which is kept for the next unit; but not where that is
 * too much for every worker to have one: then its own is gone when rendering begins. Answers what
 * to ask the budget for. */
static uint64_t lend_fetched(struct unit *unit)
{
    uint64_t kept, least;

    if (__builtin_add_overflow(h5_slab_bytes(unit->slab), unit->item->render_bytes, &kept)) {
        return UINT64_MAX;
    }
    /* No more than the sum above. */
    least = MAX_OF(h5_slab_bytes(unit->slab),
                   h5_slab_decoded_bytes(unit->slab) + unit->item->render_bytes);
    if (kept <= units_share(unit->units->etl) || least == kept) {
        h5_slab_lend(unit->slab, &unit->fetched);
        return kept;
    }
    h5_buffer_free(&unit->fetched);
    return least;
}

/** What is stored of an event varies by a few per cent: with so much more than is needed at first,
 * the next unit finds room in the same ticket, and the buffers stay. */
static uint64_t with_room(const struct units *units, uint64_t bytes)
{
    const uint64_t share = units_share(units->etl);

    return bytes < share ? MIN_OF(bytes + bytes / 16, share) : bytes;
}

/** What no budget will ever grant is no matter of waiting, unlike other lacks of memory. */
static void fail_too_large(struct unit *unit, const struct err *why)
{
    struct err err;

    err_set(&err, RC_UNSUPPORTED, "dataset '%.80s': one event of it %s; raise extract.memory",
            unit->item->dataset->name, why->text);
    unit_fail(unit, &err);
}

/** Bytes that units of this window are in line for. */
static uint64_t waiting_here(const struct units *units)
{
    uint64_t bytes = 0;

    for (unsigned i = 0; i < units->width; i++) {
        const struct budget_ticket *ticket = &units->units[i].ticket;

        bytes += ticket->state == BUDGET_WAITING ? ticket->bytes : 0;
    }
    return bytes;
}

/** Take the next item, if there is one and all is well. */
static void unit_next(struct unit *unit)
{
    struct units *units = unit->units;
    struct budget *budget = units->etl->services->budget;
    struct err err;

    event_output_reset(&unit->output);
    unit->err = (struct err){0};
    if (units->stopping && units->err.rc == RC_OK) {
        err_set(&units->err, RC_CANCELED, "extraction was stopped");
    }
    if (units->err.rc != RC_OK || units->next == units->item_count) {
        unit_end(unit);
        return;
    }
    unit->item = &units->items[units->next++];
    if (unit_open(unit, &err) != RC_OK) {
        unit_fail(unit, &err);
        return;
    }
    const uint64_t bytes = lend_fetched(unit);

    /* One of ours that waits would take what we let go only to do what we are about to. */
    if (unit->ticket.state == BUDGET_GRANTED && unit->ticket.bytes >= bytes &&
        budget_waiting(budget) == waiting_here(units)) {
        loop_defer(units->etl->services->loop, unit_fetch, unit);
        return;
    }
    struct h5_slab *slab = TAKE(unit->slab);

    unit_let_go(unit);
    unit->slab = slab;
    if (budget_acquire(budget, &unit->ticket, with_room(units, bytes), on_granted, unit, &err) !=
        RC_OK) {
        fail_too_large(unit, &err);
    }
}

static void units_begin(void *arg)
{
    struct units *units = arg;

    if (units->item_count == 0) {
        units->alive = 1;
        unit_end(&units->units[0]);
        return;
    }
    const unsigned width = units->width; /* the last unit to end may take `units` with it */

    units->alive = width;
    for (unsigned i = 0; i < width; i++) {
        unit_next(&units->units[i]);
    }
}

void units_start(struct units *units)
{
    loop_defer(units->etl->services->loop, units_begin, units);
}

void units_stop(struct units *units)
{
    units->stopping = true;
    for (unsigned i = 0; i < units->width; i++) {
        struct unit *unit = &units->units[i];

        if (unit->fetching) {
            h5_slab_cancel(unit->slab);
        } else if (unit->ticket.state == BUDGET_WAITING) {
            budget_release(units->etl->services->budget, &unit->ticket);
            loop_defer(units->etl->services->loop, unit_fetch, unit);
        }
    }
}
