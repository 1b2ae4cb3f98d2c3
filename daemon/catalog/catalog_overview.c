/** @file
 * The copy, and picking from it.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "daemon/catalog/catalog_overview_p.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/db/db.h"

const unsigned overview_levels[OVERVIEW_LEVELS] = {16, 74, 133, 160, 181, 219};

/* ---- loading ---- */

#define EACH_TYPE(column) \
    column "_vis, " column "_ir069, " column "_ir107, " column "_vil, " column "_lght, "
#define EACH_RASTER(column) column "_vis, " column "_ir069, " column "_ir107, " column "_vil, "

/** In the order in which read_event() takes them. */
#define EVENTS_SQL                                                                              \
    "SELECT id, time_utc, month, coalesce(event_type, '" CATALOG_NO_EVENT_TYPE "'), storm,"     \
    " lat0, lon0, lat1, lon1, " EACH_TYPE("rows") EACH_TYPE("missing") EACH_TYPE("known")       \
        EACH_RASTER("frames") EACH_RASTER("bytes") "flashes, a16, a74, a133, a160, a181, a219," \
                                                   " peak_utc FROM event_summary ORDER BY id"

/** The whole degree below the middle, as the statement of `cells` has it. */
static int64_t degree_of(double from, double to, int shift)
{
    const double middle = (from + to) / 2 + shift;

    if (isnan(middle)) {
        return OVERVIEW_NOWHERE;
    }
    return (int64_t)fmax(-1e15, fmin(1e15, middle)) - shift; /* no map has what is cut here */
}

static void read_event(struct db_stmt *q, struct arena *strings, struct overview_event *event)
{
    int at = 5;

    event->id = arena_dup(strings, db_text(q, 0));
    event->time = arena_dup(strings, db_text(q, 1));
    event->month = arena_dup(strings, db_text(q, 2));
    event->event_type = arena_dup(strings, db_text(q, 3));
    event->storm = db_int(q, 4) != 0;
    for (unsigned i = 0; i < ARRAY_LEN(event->box); i++) {
        event->box[i] = db_double(q, at++);
    }
    for (unsigned i = 0; i < SEVIR_TYPE_COUNT; i++, at++) {
        event->rows[i] = db_int(q, at);
        event->missing[i] = db_double(q, at + SEVIR_TYPE_COUNT);
        event->known[i] = db_int(q, at + 2 * SEVIR_TYPE_COUNT);
    }
    at += 2 * SEVIR_TYPE_COUNT;
    for (unsigned i = 0; i < OVERVIEW_RASTERS; i++, at++) {
        event->frames[i] = db_int(q, at);
        event->bytes[i] = db_int(q, at + OVERVIEW_RASTERS);
        event->all_frames += event->frames[i];
    }
    at += OVERVIEW_RASTERS;
    event->flashes = db_int(q, at++);
    for (unsigned i = 0; i < OVERVIEW_LEVELS; i++) {
        event->areas[i] = db_double(q, at++);
    }
    event->peak = db_is_null(q, at) ? NULL : arena_dup(strings, db_text(q, at));
    event->lat = degree_of(event->box[0], event->box[2], 90);
    event->lon = degree_of(event->box[1], event->box[3], 360);
}

static enum rc read_events(struct db *db, struct catalog_overview *overview, struct err *err)
{
    struct db_stmt *q = db_prepare(db, EVENTS_SQL, err);

    if (q == NULL) {
        return err->rc;
    }
    while (db_step(q, err)) {
        if (overview->count == CATALOG_OVERVIEW_EVENTS) {
            db_reset(q);
            return err_set(err, RC_LIMIT, "more than %d events", CATALOG_OVERVIEW_EVENTS);
        }
        if (overview->count == overview->cap) {
            overview->cap = overview->cap > 0 ? 2 * overview->cap : 1024;
            overview->events =
                mem_resize(overview->events, overview->cap, sizeof(*overview->events));
        }
        struct overview_event *event = &overview->events[overview->count++];

        *event = (struct overview_event){0};
        read_event(q, overview->strings, event);
    }
    return db_failed(q) ? err->rc : RC_OK;
}

/* ---- groups ---- */

static int by_cell(const struct overview_event *a, const struct overview_event *b)
{
    return a->lat != b->lat ? (a->lat < b->lat ? -1 : 1) : (a->lon > b->lon) - (a->lon < b->lon);
}

static int compare_by(const struct overview_event *a, const struct overview_event *b,
                      enum overview_grouping grouping)
{
    switch (grouping) {
    case BY_MONTH:
        return strcmp(a->month, b->month);
    case BY_EVENT_TYPE:
        return strcmp(a->event_type, b->event_type);
    default:
        return by_cell(a, b);
    }
}

static int compare(const void *a, const void *b, void *arg)
{
    return compare_by(*(const struct overview_event *const *)a,
                      *(const struct overview_event *const *)b,
                      *(const enum overview_grouping *)arg);
}

static void number_groups(struct catalog_overview *overview, enum overview_grouping grouping)
{
    struct overview_event **order =
        mem_resize(NULL, overview->count, sizeof(struct overview_event *));
    unsigned count = 0;

    for (unsigned i = 0; i < overview->count; i++) {
        order[i] = &overview->events[i];
    }
    qsort_r(order, overview->count, sizeof(*order), compare, &grouping);
    for (unsigned i = 0; i < overview->count; i++) {
        if (i == 0 || compare_by(order[count - 1], order[i], grouping) != 0) {
            order[count++] = order[i]; /* the first of its group stands for it */
        }
        order[i]->group[grouping] = count - 1;
    }
    overview->groups[grouping] = (const struct overview_event **)order;
    overview->group_count[grouping] = count;
}

enum rc catalog_overview_load(struct db *db, struct catalog_overview **ret_overview,
                              struct err *err)
{
    scoped(catalog_overview_free) struct catalog_overview *overview =
        mem_new(struct catalog_overview);

    overview->strings = arena_new();
    if (read_events(db, overview, err) != RC_OK) {
        return err->rc;
    }
    for (unsigned i = 0; i < OVERVIEW_GROUPINGS; i++) {
        number_groups(overview, (enum overview_grouping)i);
    }
    *ret_overview = TAKE(overview);
    return RC_OK;
}

void catalog_overview_free(struct catalog_overview *overview)
{
    if (overview == NULL) {
        return;
    }
    for (unsigned i = 0; i < OVERVIEW_GROUPINGS; i++) {
        free(overview->groups[i]);
    }
    free(overview->events);
    arena_free(overview->strings);
    free(overview);
}

/* ---- the filter ---- */

/** What is worked out once for all events. */
struct sieve {
    const struct catalog_filter *filter;
    bool *event_types; /**< By group; NULL: any. */
    size_t prefix_len;
    double box[4]; /**< As the statement writes it: to four places. */
};

static double as_written(double value)
{
    char text[64];

    snprintf(text, sizeof(text), "%.4f", value);
    return str_to_double(text, &value) ? value : NAN;
}

static void set_up(const struct catalog_overview *overview, const struct catalog_filter *filter,
                   struct sieve *sieve)
{
    const unsigned groups = overview->group_count[BY_EVENT_TYPE];

    *sieve = (struct sieve){.filter = filter};
    if (filter->event_type_count > 0) {
        sieve->event_types = mem_zeroed(groups + 1);
    }
    for (unsigned i = 0; filter->event_type_count > 0 && i < groups; i++) {
        const char *name = overview->groups[BY_EVENT_TYPE][i]->event_type;

        for (unsigned j = 0; j < filter->event_type_count; j++) {
            sieve->event_types[i] |= strcmp(name, filter->event_types[j]) == 0;
        }
    }
    sieve->prefix_len = filter->id_prefix != NULL ? strlen(filter->id_prefix) : 0;
    if (filter->has_box) {
        sieve->box[0] = as_written(filter->lat0);
        sieve->box[1] = as_written(filter->lon0);
        sieve->box[2] = as_written(filter->lat1);
        sieve->box[3] = as_written(filter->lon1);
    }
}

static bool has_type(const struct overview_event *event, unsigned types)
{
    for (unsigned i = 0; i < SEVIR_TYPE_COUNT; i++) {
        if ((types >> i & 1) != 0 && event->rows[i] > 0) {
            return true;
        }
    }
    return false;
}

static bool touches(const double event[4], const double box[4])
{
    return event[0] <= box[2] && event[2] >= box[0] && event[1] <= box[3] && event[3] >= box[1];
}

static bool passes(const struct sieve *sieve, const struct overview_event *event)
{
    const struct catalog_filter *filter = sieve->filter;

    return (filter->from[0] == '\0' || strcmp(event->time, filter->from) >= 0) &&
           (filter->to[0] == '\0' || strcmp(event->time, filter->to) <= 0) &&
           (filter->types == 0 || has_type(event, filter->types)) &&
           (sieve->event_types == NULL || sieve->event_types[event->group[BY_EVENT_TYPE]]) &&
           (!filter->has_box || touches(event->box, sieve->box)) &&
           (sieve->prefix_len == 0 ||
            strncmp(event->id, filter->id_prefix, sieve->prefix_len) == 0);
}

struct catalog_picked *catalog_overview_pick(const struct catalog_overview *overview,
                                             const struct catalog_filter *filter)
{
    struct catalog_picked *picked = mem_new(struct catalog_picked);
    struct sieve sieve;

    picked->types = filter->types != 0 ? filter->types : (1u << SEVIR_TYPE_COUNT) - 1;
    picked->events = mem_resize(NULL, overview->count, sizeof(struct overview_event *));
    set_up(overview, filter, &sieve);
    for (unsigned i = 0; i < overview->count; i++) {
        if (passes(&sieve, &overview->events[i])) {
            picked->events[picked->count++] = &overview->events[i];
        }
    }
    free(sieve.event_types);
    return picked;
}

void catalog_picked_free(struct catalog_picked *picked)
{
    if (picked != NULL) {
        free(picked->events);
        free(picked);
    }
}
