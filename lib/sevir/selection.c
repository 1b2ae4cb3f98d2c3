/** @file
 * Selections: one value at a time in, a yes or no for each row out.
 */
#include "lib/sevir/selection.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <strings.h>

#include "lib/base/mem.h"
#include "lib/base/now.h"

static const char *const events_names[] = {
    [SELECT_ALL] = "all", [SELECT_STORM] = "storm", [SELECT_RANDOM] = "random"};

static void free_list(char **list, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        free(list[i]);
    }
    free(list);
}

void selection_done(struct selection *selection)
{
    free(selection->years);
    free_list(selection->event_types, selection->event_type_count);
    free_list(selection->ids, selection->id_count);
    *selection = (struct selection){0};
}

/* ---- setting ------------------------------------------------------------------------------- */

static void append(char ***list, unsigned *count, const char *text)
{
    *list = mem_resize(*list, *count + 1, sizeof(**list));
    (*list)[(*count)++] = str_dup(text);
}

static enum rc refuse(struct err *err, const char *name, const char *value, const char *why)
{
    return err_set(err, RC_INVALID, "%s '%s' %s", name, value, why);
}

static enum rc set_year(struct selection *selection, const char *value, struct err *err)
{
    uint64_t year;

    if (!str_to_u64(value, &year) || year < 1 || year > 9999) {
        return refuse(err, "year", value, "is not a year like 2019");
    }
    selection->years =
        mem_resize(selection->years, selection->year_count + 1, sizeof(*selection->years));
    selection->years[selection->year_count++] = (int)year;
    return RC_OK;
}

static enum rc set_month(struct selection *selection, const char *value, struct err *err)
{
    uint64_t month;

    if (!str_to_u64(value, &month) || month < 1 || month > 12) {
        return refuse(err, "month", value, "is not within 1 and 12");
    }
    selection->months |= 1u << (month - 1);
    return RC_OK;
}

static enum rc set_type(struct selection *selection, const char *value, struct err *err)
{
    enum sevir_type type;

    if (!sevir_type_parse(value, &type)) {
        return refuse(err, "type", value, "is none of vis, ir069, ir107, vil, lght");
    }
    selection->types |= 1u << type;
    return RC_OK;
}

static enum rc set_events(struct selection *selection, const char *value, struct err *err)
{
    for (unsigned i = 0; i < ARRAY_LEN(events_names); i++) {
        if (strcmp(value, events_names[i]) == 0) {
            selection->events = (enum selection_events)i;
            return RC_OK;
        }
    }
    return refuse(err, "events", value, "is none of storm, random, all");
}

/** Two opposite corners, in any order. */
static enum rc set_bbox(struct selection *selection, const char *value, struct err *err)
{
    double numbers[4];
    const char *at = value;

    for (unsigned i = 0; i < 4; i++) {
        size_t len = strcspn(at, ",");
        scoped(free) char *item = str_dup_n(at, len);
        bool last = at[len] == '\0';
        double bound = i % 2 == 0 ? 90 : 180;
        if (last != (i == 3) || !str_to_double(item, &numbers[i]) || fabs(numbers[i]) > bound) {
            return refuse(err, "bbox", value,
                          "is not LAT0,LON0,LAT1,LON1 in degrees, as 30,-100,40,-90");
        }
        at += len + !last;
    }
    selection->has_bbox = true;
    selection->lat0 = fmin(numbers[0], numbers[2]);
    selection->lat1 = fmax(numbers[0], numbers[2]);
    selection->lon0 = fmin(numbers[1], numbers[3]);
    selection->lon1 = fmax(numbers[1], numbers[3]);
    return RC_OK;
}

static enum rc set_event_type(struct selection *selection, const char *value, struct err *err)
{
    if (*value == '\0' || !str_is_utf8(value, strlen(value))) {
        return refuse(err, "event-type", value, "is not a type of event like 'Flash Flood'");
    }
    append(&selection->event_types, &selection->event_type_count, value);
    return RC_OK;
}

static enum rc set_id(struct selection *selection, const char *value, struct err *err)
{
    if (!naming_id_ok(value)) {
        return refuse(err, "id", value, "is not an event id like S834603");
    }
    append(&selection->ids, &selection->id_count, value);
    return RC_OK;
}

static enum rc set_limit(struct selection *selection, const char *value, struct err *err)
{
    return str_to_u64(value, &selection->limit)
               ? RC_OK
               : refuse(err, "limit", value, "is not a whole number (0: no limit)");
}

enum rc selection_set(struct selection *selection, const char *name, const char *value,
                      struct err *err)
{
    static const struct {
        const char *name;
        enum rc (*set)(struct selection *, const char *, struct err *);
    } setters[] = {
        {"year", set_year},     {"month", set_month},           {"type", set_type},
        {"events", set_events}, {"event-type", set_event_type}, {"id", set_id},
        {"bbox", set_bbox},     {"limit", set_limit},
    };

    for (unsigned i = 0; i < ARRAY_LEN(setters); i++) {
        if (strcmp(name, setters[i].name) == 0) {
            return setters[i].set(selection, value, err);
        }
    }
    return err_set(err, RC_INVALID, "'%s' (value '%s') is no part of a selection", name, value);
}

/* ---- matching ------------------------------------------------------------------------------ */

static bool matches_time(const struct selection *selection, int64_t time_utc)
{
    int year, month;
    bool found = selection->year_count == 0;

    if (found && selection->months == 0) {
        return true;
    }
    now_civil(time_utc, &year, &month, NULL);
    for (unsigned i = 0; i < selection->year_count; i++) {
        found = found || selection->years[i] == year;
    }
    return found && (selection->months == 0 || (selection->months >> (month - 1) & 1) != 0);
}

static bool matches_id(const struct selection *selection, const struct catalog_row *row)
{
    bool found = selection->id_count == 0;

    if (selection->events != SELECT_ALL &&
        row->id[0] != (selection->events == SELECT_STORM ? 'S' : 'R')) {
        return false;
    }
    for (unsigned i = 0; i < selection->id_count && !found; i++) {
        found = strcmp(selection->ids[i], row->id) == 0;
    }
    return found;
}

static bool matches_event_type(const struct selection *selection, const char *event_type)
{
    bool found = selection->event_type_count == 0;

    for (unsigned i = 0; i < selection->event_type_count && !found; i++) {
        found = strcasecmp(selection->event_types[i], event_type) == 0;
    }
    return found;
}

static bool matches_bbox(const struct selection *selection, const struct catalog_row *row)
{
    return !selection->has_bbox ||
           (row->llcrnrlat <= selection->lat1 && row->urcrnrlat >= selection->lat0 &&
            row->llcrnrlon <= selection->lon1 && row->urcrnrlon >= selection->lon0);
}

bool selection_wants_type(const struct selection *selection, enum sevir_type type)
{
    return selection->types == 0 || (selection->types >> type & 1) != 0;
}

bool selection_matches(const struct selection *selection, const struct catalog_row *row)
{
    return selection_wants_type(selection, row->img_type) && matches_id(selection, row) &&
           matches_time(selection, row->time_utc) &&
           matches_event_type(selection, row->event_type) && matches_bbox(selection, row);
}

/* ---- JSON ---------------------------------------------------------------------------------- */

static int compare_ints(const void *a, const void *b)
{
    int x = *(const int *)a, y = *(const int *)b;

    return (x > y) - (x < y);
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void add_years(const struct selection *selection, struct strbuf *out)
{
    unsigned count = selection->year_count;
    scoped(free) int *years = mem_zeroed((count + 1) * sizeof(*years));
    const char *comma = "";

    for (unsigned i = 0; i < count; i++) {
        years[i] = selection->years[i];
    }
    qsort(years, count, sizeof(*years), compare_ints);
    for (unsigned i = 0; i < count; i++) {
        if (i == 0 || years[i] != years[i - 1]) {
            strbuf_printf(out, "%s%d", comma, years[i]);
            comma = ",";
        }
    }
}

/** Sorted, each once; in lower case where case does not matter. */
static void add_texts(char *const *texts, unsigned count, bool lower, struct strbuf *out)
{
    char **copies = mem_zeroed((count + 1) * sizeof(*copies));
    const char *comma = "";

    for (unsigned i = 0; i < count; i++) {
        copies[i] = str_dup(texts[i]);
        for (char *c = copies[i]; lower && *c != '\0'; c++) {
            *c = *c >= 'A' && *c <= 'Z' ? (char)(*c - 'A' + 'a') : *c;
        }
    }
    qsort(copies, count, sizeof(*copies), compare_texts);
    for (unsigned i = 0; i < count; i++) {
        if (i == 0 || strcmp(copies[i], copies[i - 1]) != 0) {
            strbuf_puts(out, comma);
            strbuf_json(out, copies[i]);
            comma = ",";
        }
    }
    free_list(copies, count);
}

static void add_bits(unsigned bits, unsigned count, bool types, struct strbuf *out)
{
    const char *comma = "";

    for (unsigned i = 0; i < count; i++) {
        if ((bits >> i & 1) == 0) {
            continue;
        }
        strbuf_puts(out, comma);
        if (types) {
            strbuf_json(out, sevir_type_name((enum sevir_type)i));
        } else {
            strbuf_printf(out, "%u", i + 1);
        }
        comma = ",";
    }
}

static void add_bbox(const struct selection *selection, struct strbuf *out)
{
    const double corners[] = {selection->lat0, selection->lon0, selection->lat1, selection->lon1};

    if (!selection->has_bbox) {
        strbuf_puts(out, "null");
        return;
    }
    for (unsigned i = 0; i < 4; i++) {
        strbuf_putc(out, i == 0 ? '[' : ',');
        strbuf_double(out, corners[i]);
    }
    strbuf_putc(out, ']');
}

void selection_json(const struct selection *selection, struct strbuf *out)
{
    strbuf_puts(out, "{\"years\":[");
    add_years(selection, out);
    strbuf_puts(out, "],\"months\":[");
    add_bits(selection->months, 12, false, out);
    strbuf_puts(out, "],\"types\":[");
    add_bits(selection->types, SEVIR_TYPE_COUNT, true, out);
    strbuf_printf(out, "],\"events\":\"%s\",\"event_types\":[", events_names[selection->events]);
    add_texts(selection->event_types, selection->event_type_count, true, out);
    strbuf_puts(out, "],\"ids\":[");
    add_texts(selection->ids, selection->id_count, false, out);
    strbuf_puts(out, "],\"bbox\":");
    add_bbox(selection, out);
    strbuf_printf(out, ",\"limit\":%" PRIu64 "}", selection->limit);
}
