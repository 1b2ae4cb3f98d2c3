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
    bool stopping;
    struct err err; /**< The first that went wrong. */
};

static void unit_next(struct unit *unit);

struct units *units_new(struct etl *etl, const struct units_ops *ops, struct unit_item *items,
                        size_t count)
{
    struct units *units = mem_new(struct units);
    /* One unit a worker at work, and as many again fetching or putting, hide the store's time. */
    const size_t width = 2 * (size_t)work_width(etl->services->work, WORK_CPU) + 1;

    *units = (struct units){
        .etl = etl,
        .ops = ops,
        .items = items,
        .item_count = count,
        .width = (unsigned)MIN_OF(width, MAX_OF(count, 1)),
    };
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
        event_scratch_done(&units->units[i].scratch);
        event_output_done(&units->units[i].output);
        free(units->units[i].puts);
    }
    free(units->units);
    free(units->items);
    free(units);
}

static void unit_let_go(struct unit *unit)
{
    h5_slab_free(TAKE(unit->slab));
    event_scratch_done(&unit->scratch);
    event_output_done(&unit->output);
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
    const uint8_t *rows = NULL;

    if (h5_slab_decode(unit->slab, &rows, &unit->err) == RC_OK) {
        unit->units->ops->work(unit->units->etl, unit, rows, &unit->err);
    }
}

static void on_worked(void *arg, bool canceled)
{
    struct unit *unit = arg;

    (void)canceled; /* units are never withdrawn from the lane */
    h5_slab_free(TAKE(unit->slab));
    if (unit->err.rc != RC_OK) {
        unit_fail(unit, &unit->err);
        return;
    }
    unit_put(unit);
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
    work_submit(services->work, WORK_CPU, run_work, on_worked, unit);
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

    return h5_slab_open(etl->services->h5, &object, etl->layout, item->dataset, item->first,
                        item->count, &unit->slab, err);
}

/** What no budget will ever grant is no matter of waiting, unlike other lacks of memory. */
static void fail_too_large(struct unit *unit, const struct err *why)
{
    struct err err;

    err_set(&err, RC_UNSUPPORTED, "dataset '%.80s': one event of it %s; raise extract.memory",
            unit->item->dataset->name, why->text);
    unit_fail(unit, &err);
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
    uint64_t bytes;

    if (__builtin_add_overflow(h5_slab_bytes(unit->slab), unit->item->render_bytes, &bytes)) {
        bytes = UINT64_MAX;
    }
    if (unit->ticket.state == BUDGET_GRANTED && unit->ticket.bytes >= bytes &&
        budget_waiting(budget) == 0) {
        loop_defer(units->etl->services->loop, unit_fetch, unit);
        return;
    }
    event_scratch_done(&unit->scratch);
    event_output_done(&unit->output);
    budget_release(budget, &unit->ticket);
    if (budget_acquire(budget, &unit->ticket, bytes, on_granted, unit, &err) != RC_OK) {
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
