/** @file
 * The charts, each in one pass over what was picked.
 */
#include <math.h>
#include <string.h>

#include "daemon/catalog/catalog_overview_p.h"
#include "daemon/catalog/catalog_result.h"
#include "lib/base/mem.h"

#define COLUMNS_MOST 20

/** One chart while it is drawn. */
struct sketch {
    const struct catalog_overview *overview;
    const struct catalog_picked *picked;
    const struct catalog_chart_args *args;
    uint64_t limit;
    unsigned level; /**< Index of the area. */
    struct catalog_result result;
};

/* ---- cells ---- */

static void head(struct sketch *sketch, const struct catalog_result_column *columns, unsigned count)
{
    catalog_result_head(&sketch->result, columns, count);
}

static void add_text(struct sketch *sketch, const char *text)
{
    if (text != NULL) {
        catalog_result_text(&sketch->result, text, strlen(text));
    } else {
        catalog_result_null(&sketch->result);
    }
}

static void add_whole(struct sketch *sketch, int64_t value)
{
    catalog_result_int(&sketch->result, value);
}

static void add_number(struct sketch *sketch, double value)
{
    if (isnan(value)) {
        catalog_result_null(&sketch->result);
    } else {
        catalog_result_double(&sketch->result, value);
    }
}

static bool counts_type(const struct sketch *sketch, unsigned type)
{
    return (sketch->picked->types >> type & 1) != 0;
}

static int64_t sum_of_rows(const struct sketch *sketch, const struct overview_event *event)
{
    int64_t sum = 0;

    for (unsigned i = 0; i < SEVIR_TYPE_COUNT; i++) {
        sum += counts_type(sketch, i) ? event->rows[i] : 0;
    }
    return sum;
}

static int64_t sum_of_known(const struct sketch *sketch, const struct overview_event *event)
{
    int64_t sum = 0;

    for (unsigned i = 0; i < SEVIR_TYPE_COUNT; i++) {
        sum += counts_type(sketch, i) ? event->known[i] : 0;
    }
    return sum;
}

static double sum_of_missing(const struct sketch *sketch, const struct overview_event *event)
{
    double sum = 0;

    for (unsigned i = 0; i < SEVIR_TYPE_COUNT; i++) {
        sum += counts_type(sketch, i) ? event->missing[i] : 0;
    }
    return sum;
}

/** Of frames or of bytes. */
static int64_t sum_of_rasters(const struct sketch *sketch, const int64_t each[OVERVIEW_RASTERS])
{
    int64_t sum = 0;

    for (unsigned i = 0; i < OVERVIEW_RASTERS; i++) {
        sum += counts_type(sketch, i) ? each[i] : 0;
    }
    return sum;
}

/* ---- in numbers ---- */

struct totals {
    double storms, rows, frames, bytes, with_frames, storms_with_frames, missing, flashes;
    int64_t known;
    const char *since, *until;
};

static void add_to_totals(const struct sketch *sketch, const struct overview_event *event,
                          struct totals *totals)
{
    const int64_t frames = sum_of_rasters(sketch, event->frames);

    totals->storms += event->storm;
    totals->rows += (double)sum_of_rows(sketch, event);
    totals->frames += (double)frames;
    totals->bytes += (double)sum_of_rasters(sketch, event->bytes);
    totals->with_frames += frames > 0;
    totals->storms_with_frames += event->storm && frames > 0;
    totals->missing += sum_of_missing(sketch, event);
    totals->known += sum_of_known(sketch, event);
    totals->flashes += (double)event->flashes;
    if (totals->since == NULL || strcmp(event->time, totals->since) < 0) {
        totals->since = event->time;
    }
    if (totals->until == NULL || strcmp(event->time, totals->until) > 0) {
        totals->until = event->time;
    }
}

static double share_of(double sum, int64_t known)
{
    return known != 0 ? sum / (double)known : NAN;
}

static void draw_tiles(struct sketch *sketch)
{
    static const struct catalog_result_column columns[] = {
        {"events", "bigint"},
        {"storms", "double"},
        {"rows", "double"},
        {"frames", "double"},
        {"bytes", "double"},
        {"events_with_frames", "double"},
        {"storms_with_frames", "double"},
        {"missing", "double"},
        {"flashes", "double"},
        {"since", "string"},
        {"until", "string"},
    };
    struct totals totals = {0};

    for (unsigned i = 0; i < sketch->picked->count; i++) {
        add_to_totals(sketch, sketch->picked->events[i], &totals);
    }
    head(sketch, columns, ARRAY_LEN(columns));
    catalog_result_row(&sketch->result);
    add_whole(sketch, sketch->picked->count);
    add_number(sketch, totals.storms);
    add_number(sketch, totals.rows);
    add_number(sketch, totals.frames);
    add_number(sketch, totals.bytes);
    add_number(sketch, totals.with_frames);
    add_number(sketch, totals.storms_with_frames);
    add_number(sketch, share_of(totals.missing, totals.known));
    add_number(sketch, totals.flashes);
    add_text(sketch, totals.since);
    add_text(sketch, totals.until);
    catalog_result_row_end(&sketch->result);
}

/* ---- by image type ---- */

struct type_totals {
    double rows, events, missing, frames, bytes;
    int64_t known;
};

static void add_type(struct sketch *sketch, unsigned type, const struct type_totals *totals)
{
    catalog_result_row(&sketch->result);
    add_text(sketch, sevir_type_name((enum sevir_type)type));
    add_number(sketch, totals->rows);
    add_number(sketch, totals->events);
    add_number(sketch, share_of(totals->missing, totals->known));
    if (type == SEVIR_LGHT) {
        add_whole(sketch, 0);
        add_whole(sketch, 0);
    } else {
        add_number(sketch, totals->frames);
        add_number(sketch, totals->bytes);
    }
    catalog_result_row_end(&sketch->result);
}

static void draw_types(struct sketch *sketch)
{
    static const struct catalog_result_column columns[] = {
        {"img_type", "string"}, {"rows", "double"},   {"events", "double"},
        {"missing", "double"},  {"frames", "double"}, {"bytes", "double"},
    };

    head(sketch, columns, ARRAY_LEN(columns));
    for (unsigned type = 0; type < SEVIR_TYPE_COUNT; type++) {
        struct type_totals totals = {0};

        if (!counts_type(sketch, type)) {
            continue;
        }
        for (unsigned i = 0; i < sketch->picked->count; i++) {
            const struct overview_event *event = sketch->picked->events[i];

            totals.rows += (double)event->rows[type];
            totals.events += event->rows[type] > 0;
            totals.missing += event->missing[type];
            totals.known += event->known[type];
            totals.frames += type != SEVIR_LGHT ? (double)event->frames[type] : 0;
            totals.bytes += type != SEVIR_LGHT ? (double)event->bytes[type] : 0;
        }
        add_type(sketch, type, &totals);
    }
}

/* ---- by group ---- */

/** What a group's row may show. */
struct tally {
    const struct overview_event *any; /**< NULL: nobody of the group was picked. */
    int64_t events, storms, rows[SEVIR_TYPE_COUNT];
};

static struct tally *count_groups(const struct sketch *sketch, enum overview_grouping grouping)
{
    struct tally *tallies =
        mem_zeroed((sketch->overview->group_count[grouping] + 1) * sizeof(*tallies));

    for (unsigned i = 0; i < sketch->picked->count; i++) {
        const struct overview_event *event = sketch->picked->events[i];
        struct tally *tally = &tallies[event->group[grouping]];

        tally->any = event;
        tally->events++;
        tally->storms += event->storm;
        for (unsigned type = 0; type < SEVIR_TYPE_COUNT; type++) {
            tally->rows[type] += event->rows[type];
        }
    }
    return tallies;
}

/** Most events first; qsort_r() of glibc keeps the order of equals only while it has memory, so
 * their names are compared. */
static int by_events(const void *a, const void *b)
{
    const struct tally *one = a, *other = b;

    if (one->events != other->events) {
        return one->events > other->events ? -1 : 1;
    }
    return one->any == NULL || other->any == NULL
               ? (one->any == NULL) - (other->any == NULL)
               : strcmp(one->any->event_type, other->any->event_type);
}

static void draw_event_types(struct sketch *sketch)
{
    const unsigned groups = sketch->overview->group_count[BY_EVENT_TYPE];
    struct catalog_result_column columns[2 + SEVIR_TYPE_COUNT] = {{"event_type", "string"},
                                                                  {"events", "bigint"}};
    struct tally *tallies = count_groups(sketch, BY_EVENT_TYPE);
    unsigned count = 2;

    for (unsigned type = 0; type < SEVIR_TYPE_COUNT; type++) {
        if (counts_type(sketch, type)) {
            columns[count++] =
                (struct catalog_result_column){sevir_type_name((enum sevir_type)type), "bigint"};
        }
    }
    head(sketch, columns, count);
    qsort(tallies, groups, sizeof(*tallies), by_events);
    for (unsigned i = 0; i < groups && tallies[i].any != NULL; i++) {
        catalog_result_row(&sketch->result);
        add_text(sketch, tallies[i].any->event_type);
        add_whole(sketch, tallies[i].events);
        for (unsigned type = 0; type < SEVIR_TYPE_COUNT; type++) {
            if (counts_type(sketch, type)) {
                add_whole(sketch, tallies[i].rows[type]);
            }
        }
        catalog_result_row_end(&sketch->result);
    }
    free(tallies);
}

static void draw_months(struct sketch *sketch)
{
    static const struct catalog_result_column columns[] = {
        {"month", "string"}, {"storms", "bigint"}, {"random", "bigint"}};
    struct tally *tallies = count_groups(sketch, BY_MONTH);

    head(sketch, columns, ARRAY_LEN(columns));
    for (unsigned i = 0; i < sketch->overview->group_count[BY_MONTH]; i++) {
        if (tallies[i].any != NULL) {
            catalog_result_row(&sketch->result);
            add_text(sketch, tallies[i].any->month);
            add_whole(sketch, tallies[i].storms);
            add_whole(sketch, tallies[i].events - tallies[i].storms);
            catalog_result_row_end(&sketch->result);
        }
    }
    free(tallies);
}

static void add_degree(struct sketch *sketch, int64_t degree)
{
    if (degree == OVERVIEW_NOWHERE) {
        catalog_result_null(&sketch->result);
    } else {
        add_whole(sketch, degree);
    }
}

static void draw_cells(struct sketch *sketch)
{
    static const struct catalog_result_column columns[] = {
        {"lat", "bigint"}, {"lon", "bigint"}, {"events", "bigint"}, {"storms", "bigint"}};
    struct tally *tallies = count_groups(sketch, BY_CELL);

    head(sketch, columns, ARRAY_LEN(columns));
    for (unsigned i = 0; i < sketch->overview->group_count[BY_CELL]; i++) {
        const struct overview_event *any = tallies[i].any;

        if (any == NULL) {
            continue;
        }
        catalog_result_row(&sketch->result);
        add_degree(sketch, any->lat);
        add_degree(sketch, any->lon);
        add_whole(sketch, tallies[i].events);
        add_whole(sketch, tallies[i].storms);
        catalog_result_row_end(&sketch->result);
    }
    free(tallies);
}

/* ---- which types an event has ---- */

struct coverage {
    unsigned types;
    int64_t events, with_frames;
};

/** Most events first, then fewer types from the left. */
static int by_coverage(const void *a, const void *b)
{
    const struct coverage *one = a, *other = b;

    if (one->events != other->events) {
        return one->events > other->events ? -1 : 1;
    }
    for (unsigned type = 0; type < SEVIR_TYPE_COUNT; type++) {
        const int has = (int)(one->types >> type & 1), other_has = (int)(other->types >> type & 1);

        if (has != other_has) {
            return has - other_has;
        }
    }
    return 0;
}

static void draw_coverage(struct sketch *sketch)
{
    static const struct catalog_result_column columns[] = {
        {"vis", "bigint"},  {"ir069", "bigint"},  {"ir107", "bigint"},      {"vil", "bigint"},
        {"lght", "bigint"}, {"events", "bigint"}, {"with_frames", "bigint"}};
    struct coverage found[1u << SEVIR_TYPE_COUNT] = {{0}};

    for (unsigned i = 0; i < sketch->picked->count; i++) {
        const struct overview_event *event = sketch->picked->events[i];
        unsigned types = 0;

        for (unsigned type = 0; type < SEVIR_TYPE_COUNT; type++) {
            types |= (event->rows[type] > 0 ? 1u : 0u) << type;
        }
        found[types].types = types;
        found[types].events++;
        found[types].with_frames += event->all_frames > 0;
    }
    head(sketch, columns, ARRAY_LEN(columns));
    qsort(found, ARRAY_LEN(found), sizeof(found[0]), by_coverage);
    for (unsigned i = 0; i < ARRAY_LEN(found) && found[i].events > 0; i++) {
        catalog_result_row(&sketch->result);
        for (unsigned type = 0; type < SEVIR_TYPE_COUNT; type++) {
            add_whole(sketch, found[i].types >> type & 1);
        }
        add_whole(sketch, found[i].events);
        add_whole(sketch, found[i].with_frames);
        catalog_result_row_end(&sketch->result);
    }
}

/* ---- the first of an order ---- */

typedef int order_fn(const struct overview_event *a, const struct overview_event *b,
                     unsigned level);

/** Larger first; none (NaN) last. */
static int larger(double a, double b)
{
    if (isnan(a) || isnan(b)) {
        return isnan(a) - isnan(b);
    }
    return (a < b) - (a > b);
}

static int box_order(const struct overview_event *a, const struct overview_event *b, unsigned level)
{
    const int order = larger(a->areas[level], b->areas[level]);

    if (order != 0 || a->storm != b->storm) {
        return order != 0 ? order : b->storm - a->storm;
    }
    return strcmp(a->id, b->id);
}

static int strongest_order(const struct overview_event *a, const struct overview_event *b,
                           unsigned level)
{
    const int order = larger(a->areas[level], b->areas[level]);

    return order != 0 ? order : strcmp(a->id, b->id);
}

static int event_order(const struct overview_event *a, const struct overview_event *b,
                       unsigned level)
{
    int order = larger(a->areas[level], b->areas[level]);

    if (order == 0) {
        order = (a->all_frames < b->all_frames) - (a->all_frames > b->all_frames);
    }
    if (order == 0) {
        order = strcmp(a->time, b->time);
    }
    return order != 0 ? order : strcmp(a->id, b->id);
}

struct ordering {
    order_fn *order;
    unsigned level;
};

static int compare(const void *a, const void *b, void *arg)
{
    const struct ordering *ordering = arg;

    return ordering->order(*(const struct overview_event *const *)a,
                           *(const struct overview_event *const *)b, ordering->level);
}

/** The first `most` of an order. */
struct front {
    const struct overview_event **events; /**< Room for twice as many: sorted when it is full. */
    size_t count, most;
    struct ordering ordering;
};

static void settle(struct front *front)
{
    qsort_r(front->events, front->count, sizeof(struct overview_event *), compare,
            &front->ordering);
    front->count = MIN_OF(front->count, front->most);
}

/** The last of the best so far keeps most of the others out at once. */
static void offer(struct front *front, const struct overview_event *event, bool *settled)
{
    if (*settled && front->count >= front->most &&
        front->ordering.order(event, front->events[front->most - 1], front->ordering.level) >= 0) {
        return;
    }
    front->events[front->count++] = event;
    if (front->count == 2 * front->most) {
        settle(front);
        *settled = true;
    }
}

static struct front take_front(const struct sketch *sketch, order_fn *order, uint64_t most,
                               bool only_strong)
{
    const size_t room = (size_t)MIN_OF(most, (uint64_t)sketch->picked->count) + 1;
    struct front front = {
        .events = mem_resize(NULL, 2 * room, sizeof(struct overview_event *)),
        .most = room,
        .ordering = {order, sketch->level},
    };
    bool settled = false;

    for (unsigned i = 0; i < sketch->picked->count; i++) {
        const struct overview_event *event = sketch->picked->events[i];

        if (!only_strong || event->areas[sketch->level] > 0) {
            offer(&front, event, &settled);
        }
    }
    settle(&front);
    front.count = (size_t)MIN_OF((uint64_t)front.count, most);
    return front;
}

static void add_who(struct sketch *sketch, const struct overview_event *event)
{
    add_text(sketch, event->id);
    add_text(sketch, event->event_type);
    add_text(sketch, event->time);
}

static void add_box(struct sketch *sketch, const struct overview_event *event)
{
    for (unsigned i = 0; i < ARRAY_LEN(event->box); i++) {
        add_number(sketch, event->box[i]);
    }
}

static void draw_boxes(struct sketch *sketch)
{
    static const struct catalog_result_column columns[] = {
        {"id", "string"},   {"event_type", "string"}, {"time_utc", "timestamp"}, {"lat0", "double"},
        {"lon0", "double"}, {"lat1", "double"},       {"lon1", "double"},        {"area", "double"},
    };
    struct front front = take_front(sketch, box_order, sketch->limit, false);

    head(sketch, columns, ARRAY_LEN(columns));
    for (size_t i = 0; i < front.count; i++) {
        catalog_result_row(&sketch->result);
        add_who(sketch, front.events[i]);
        add_box(sketch, front.events[i]);
        add_number(sketch, front.events[i]->areas[sketch->level]);
        catalog_result_row_end(&sketch->result);
    }
    free(front.events);
}

static void draw_strongest(struct sketch *sketch)
{
    static const struct catalog_result_column columns[] = {
        {"id", "string"},   {"event_type", "string"},  {"time_utc", "timestamp"},
        {"area", "double"}, {"peak_utc", "timestamp"},
    };
    struct front front = take_front(sketch, strongest_order, sketch->limit, true);

    head(sketch, columns, ARRAY_LEN(columns));
    for (size_t i = 0; i < front.count; i++) {
        catalog_result_row(&sketch->result);
        add_who(sketch, front.events[i]);
        add_number(sketch, front.events[i]->areas[sketch->level]);
        add_text(sketch, front.events[i]->peak);
        catalog_result_row_end(&sketch->result);
    }
    free(front.events);
}

static void add_event(struct sketch *sketch, const struct overview_event *event)
{
    catalog_result_row(&sketch->result);
    add_text(sketch, event->id);
    add_text(sketch, event->time);
    add_text(sketch, event->event_type);
    for (unsigned type = 0; type < SEVIR_TYPE_COUNT; type++) {
        add_whole(sketch, event->rows[type]);
    }
    add_whole(sketch, event->all_frames);
    add_whole(sketch, event->flashes);
    add_number(sketch, event->areas[sketch->level]);
    add_box(sketch, event);
    catalog_result_row_end(&sketch->result);
}

static void draw_events(struct sketch *sketch)
{
    static const struct catalog_result_column columns[] = {
        {"id", "string"},      {"time_utc", "timestamp"}, {"event_type", "string"},
        {"vis", "bigint"},     {"ir069", "bigint"},       {"ir107", "bigint"},
        {"vil", "bigint"},     {"lght", "bigint"},        {"frames", "bigint"},
        {"flashes", "bigint"}, {"area", "double"},        {"lat0", "double"},
        {"lon0", "double"},    {"lat1", "double"},        {"lon1", "double"},
    };
    const uint64_t offset = sketch->args->offset;
    struct front front = take_front(sketch, event_order, sketch->limit + offset, false);

    head(sketch, columns, ARRAY_LEN(columns));
    for (size_t i = offset < front.count ? (size_t)offset : front.count; i < front.count; i++) {
        add_event(sketch, front.events[i]);
    }
    free(front.events);
}

/* ---- all of them ---- */

static const struct {
    const char *name;
    void (*draw)(struct sketch *sketch);
} charts[] = {
    {"tiles", draw_tiles},         {"types", draw_types},       {"event_types", draw_event_types},
    {"months", draw_months},       {"cells", draw_cells},       {"boxes", draw_boxes},
    {"strongest", draw_strongest}, {"coverage", draw_coverage}, {"events", draw_events},
};

void catalog_overview_draw(const struct catalog_overview *overview,
                           const struct catalog_picked *picked, const struct catalog_chart *chart,
                           const struct catalog_chart_args *args, struct strbuf *out)
{
    struct sketch sketch = {.overview = overview,
                            .picked = picked,
                            .args = args,
                            .limit = args->limit != 0 ? args->limit : chart->limit,
                            .result = {.out = out, .format = CATALOG_JSON}};

    for (unsigned i = 0; i < OVERVIEW_LEVELS; i++) {
        if (overview_levels[i] == (args->level != 0 ? args->level : 133)) {
            sketch.level = i;
        }
    }
    for (unsigned i = 0; i < ARRAY_LEN(charts); i++) {
        if (strcmp(charts[i].name, chart->name) == 0) {
            charts[i].draw(&sketch);
        }
    }
    catalog_result_end(&sketch.result, false, "");
}
