/** @file
 * The arguments, one by one.
 */
#include "daemon/ops/data_args.h"

#include <inttypes.h>
#include <string.h>

#include "lib/base/mem.h"

static enum rc take_types(const char *list, unsigned *types, struct err *err)
{
    while (*list != '\0') {
        const size_t len = strcspn(list, ",");
        scoped(free) char *name = str_dup_n(list, len);
        enum sevir_type type;

        if (!sevir_type_parse(name, &type)) {
            return err_set(err, RC_INVALID,
                           "'type': '%.40s' is none of vis, ir069, ir107, vil, lght", name);
        }
        *types |= 1u << type;
        list += len + (list[len] == ',');
    }
    return RC_OK;
}

static enum rc take_box(const char *text, struct catalog_filter *filter, struct err *err)
{
    double *const numbers[] = {&filter->lat0, &filter->lon0, &filter->lat1, &filter->lon1};
    const char *at = text;
    bool good = true;

    for (unsigned i = 0; i < ARRAY_LEN(numbers) && good; i++) {
        const size_t len = strcspn(at, ",");
        scoped(free) char *number = str_dup_n(at, len);

        good = str_to_double(number, numbers[i]) && (at[len] == ',') == (i < 3) &&
               *numbers[i] >= -360 && *numbers[i] <= 360;
        at += len + (at[len] == ',');
    }
    if (!good || filter->lat0 > filter->lat1 || filter->lon0 > filter->lon1) {
        return err_set(err, RC_INVALID,
                       "'bbox': '%.80s' is not LAT0,LON0,LAT1,LON1, south and west first", text);
    }
    filter->has_box = true;
    return RC_OK;
}

static enum rc take_event_type(const char *name, struct catalog_filter *filter, struct err *err)
{
    if (filter->event_type_count == CATALOG_FILTER_EVENT_TYPES) {
        return err_set(err, RC_INVALID, "'event_type': at most %d of them",
                       CATALOG_FILTER_EVENT_TYPES);
    }
    filter->event_types[filter->event_type_count++] = name;
    return RC_OK;
}

static enum rc take_time(const char *text, bool end, char ret_time[24], struct err *err)
{
    if (text[0] != '\0' && catalog_filter_time(text, end, ret_time, err) != RC_OK) {
        return err_wrap(err, end ? "'to'" : "'from'");
    }
    return RC_OK;
}

/** One argument that is part of the filter. */
static enum rc take_filter(const struct http_pair *arg, struct catalog_filter *filter,
                           struct err *err)
{
    if (strcmp(arg->name, "type") == 0) {
        return take_types(arg->value, &filter->types, err);
    }
    if (strcmp(arg->name, "event_type") == 0) {
        return take_event_type(arg->value, filter, err);
    }
    if (strcmp(arg->name, "bbox") == 0) {
        return take_box(arg->value, filter, err);
    }
    if (strcmp(arg->name, "from") == 0) {
        return take_time(arg->value, false, filter->from, err);
    }
    if (strcmp(arg->name, "to") == 0) {
        return take_time(arg->value, true, filter->to, err);
    }
    if (strcmp(arg->name, "q") == 0 && arg->value[0] != '\0') {
        filter->id_prefix = arg->value;
    }
    return RC_OK;
}

static const char *find(const struct http_pair *args, unsigned count, const char *name)
{
    for (unsigned i = 0; i < count; i++) {
        if (strcmp(args[i].name, name) == 0) {
            return args[i].value;
        }
    }
    return NULL;
}

static enum rc take_number(const char *name, const char *text, uint64_t min, uint64_t max,
                           uint64_t *number, struct err *err)
{
    if (text != NULL && (!str_to_u64(text, number) || *number < min || *number > max)) {
        return err_set(err, RC_INVALID,
                       "'%s': '%.60s' is no whole number from %" PRIu64 " to %" PRIu64, name, text,
                       min, max);
    }
    return RC_OK;
}

static enum rc read_args(const struct http_pair *args, unsigned count,
                         struct catalog_chart_args *ret_args, struct err *err)
{
    struct catalog_chart_args read = {.type = SEVIR_VIL};
    const char *type = find(args, count, "img_type");
    uint64_t level = 133;

    for (unsigned i = 0; i < count; i++) {
        if (take_filter(&args[i], &read.filter, err) != RC_OK) {
            return err->rc;
        }
    }
    read.id = find(args, count, "id");
    read.stat = find(args, count, "stat");
    if (type != NULL && !sevir_type_parse(type, &read.type)) {
        return err_set(err, RC_INVALID,
                       "'img_type': '%.40s' is none of vis, ir069, ir107, vil, lght", type);
    }
    if (take_number("level", find(args, count, "level"), 1, 255, &level, err) != RC_OK ||
        take_number("limit", find(args, count, "limit"), 1, DATA_MOST_ROWS, &read.limit, err) !=
            RC_OK ||
        take_number("offset", find(args, count, "offset"), 0, INT32_MAX, &read.offset, err) !=
            RC_OK) {
        return err->rc;
    }
    read.level = (unsigned)level;
    *ret_args = read;
    return RC_OK;
}

enum rc data_args_read(const struct http_pair *args, unsigned count,
                       struct catalog_chart_args *ret_args, struct err *err)
{
    scoped(strbuf_done) struct strbuf shown = {0};

    if (read_args(args, count, ret_args, err) != RC_OK) {
        strbuf_printable(&shown, err->text); /* it quotes what was asked */
        return err_set(err, err->rc, "%s", strbuf_text(&shown));
    }
    return RC_OK;
}
