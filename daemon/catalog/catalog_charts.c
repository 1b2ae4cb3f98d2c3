/** @file
 * The charts' statements and how they are filled in.
 */
#include "daemon/catalog/catalog_charts.h"

#include <inttypes.h>
#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/now.h"

#define EVENT_TYPE "coalesce(event_type, '" CATALOG_NO_EVENT_TYPE "')"

/* clang-format off */
const struct catalog_chart catalog_charts[] = {
    {"tiles", "In numbers", CHART_OVERVIEW, 1,
     "SELECT count(*) AS events, total(storm) AS storms, total({rows}) AS \"rows\",\n"
     "  total({frames}) AS frames, total({bytes}) AS bytes, total({frames} > 0) AS events_with_frames,\n"
     "  total(storm AND {frames} > 0) AS storms_with_frames, sum({missing}) / sum({known}) AS missing,\n"
     "  total(flashes) AS flashes, min(time_utc) AS since, max(time_utc) AS until\n"
     "FROM event_summary{where}"},
    {"types", "Rows by image type", CHART_OVERVIEW, 5,
     "WITH sums AS MATERIALIZED (\n  SELECT {sums}\n  FROM event_summary{where}\n)\n{types}"},
    {"event_types", "Event type and image type", CHART_OVERVIEW, 100,
     "SELECT " EVENT_TYPE " AS event_type, count(*) AS events,\n  {rows_each}\n"
     "FROM event_summary{where}\nGROUP BY 1 ORDER BY events DESC, 1"},
    {"months", "Events by month", CHART_OVERVIEW, 1200,
     "SELECT month, sum(storm) AS storms, sum(1 - storm) AS random\n"
     "FROM event_summary{where}\nGROUP BY month ORDER BY month"},
    {"cells", "Events by place", CHART_OVERVIEW, 10000,
     "SELECT CAST((lat0 + lat1) / 2 + 90 AS INTEGER) - 90 AS lat,\n"
     "  CAST((lon0 + lon1) / 2 + 360 AS INTEGER) - 360 AS lon, count(*) AS events,\n"
     "  sum(storm) AS storms\n"
     "FROM event_summary{where}\nGROUP BY 1, 2 ORDER BY 1, 2"},
    {"boxes", "Boxes of events", CHART_OVERVIEW, 120,
     "SELECT id, " EVENT_TYPE " AS event_type, time_utc, lat0, lon0, lat1, lon1, a{level} AS area\n"
     "FROM event_summary{where}\nORDER BY area DESC, storm DESC, id LIMIT {limit}"},
    {"strongest", "Strongest by VIL area", CHART_OVERVIEW, 12,
     "SELECT id, " EVENT_TYPE " AS event_type, time_utc, a{level} AS area, peak_utc\n"
     "FROM event_summary{where_strong}\nORDER BY area DESC, id LIMIT {limit}"},
    {"coverage", "Coverage", CHART_OVERVIEW, 32,
     "SELECT rows_vis > 0 AS vis, rows_ir069 > 0 AS ir069, rows_ir107 > 0 AS ir107,\n"
     "  rows_vil > 0 AS vil, rows_lght > 0 AS lght, count(*) AS events,\n"
     "  sum(frames_vis + frames_ir069 + frames_ir107 + frames_vil > 0) AS with_frames\n"
     "FROM event_summary{where}\nGROUP BY 1, 2, 3, 4, 5 ORDER BY events DESC, 1, 2, 3, 4, 5"},
    {"events", "Events", CHART_OVERVIEW, 50,
     "SELECT id, time_utc, " EVENT_TYPE " AS event_type, rows_vis AS vis, rows_ir069 AS ir069,\n"
     "  rows_ir107 AS ir107, rows_vil AS vil, rows_lght AS lght,\n"
     "  frames_vis + frames_ir069 + frames_ir107 + frames_vil AS frames, flashes, a{level} AS area,\n"
     "  lat0, lon0, lat1, lon1\n"
     "FROM event_summary{where}\nORDER BY area DESC, frames DESC, time_utc, id\n"
     "LIMIT {limit} OFFSET {offset}"},
    {"stat", "A statistic over time", CHART_OF_EVENT, 1000,
     "SELECT frame, time_utc, minute_offset, {stat} AS value, p10, p90, file_name, file_index\n"
     "FROM frames WHERE id = {id} AND img_type = {type}\n"
     "ORDER BY file_name, file_index, frame LIMIT {limit}"},
    {"frames", "Frames of an event", CHART_OF_EVENT, 2000,
     "SELECT * FROM frames WHERE id = {id}\n"
     "ORDER BY img_type, file_name, file_index, frame LIMIT {limit}"},
    {"flashes", "Flashes of an event", CHART_OF_EVENT, 100000,
     "SELECT * FROM flashes WHERE id = {id} ORDER BY t LIMIT {limit}"},
    /* As lightning_count() has it: what is before the first frame counts to it. */
    {"flash_grid", "Flashes by frame and cell", CHART_OF_EVENT, 100000,
     "SELECT max(0, min(48, CAST((t + 7200) / 300 AS INTEGER))) AS frame, CAST(x AS INTEGER) AS x,\n"
     "  CAST(y AS INTEGER) AS y, count(*) AS flashes\n"
     "FROM flashes WHERE id = {id} AND x >= 0 AND x < 48 AND y >= 0 AND y < 48\n"
     "GROUP BY 1, 2, 3 ORDER BY 1, 2, 3 LIMIT {limit}"},
};
/* clang-format on */
const unsigned catalog_chart_count = ARRAY_LEN(catalog_charts);

const struct catalog_chart *catalog_chart_find(const char *name)
{
    for (unsigned i = 0; i < catalog_chart_count; i++) {
        if (strcmp(catalog_charts[i].name, name) == 0) {
            return &catalog_charts[i];
        }
    }
    return NULL;
}

/* ---- values ---- */

static void add_quoted(struct strbuf *out, const char *text)
{
    char *quoted = sqlite3_mprintf("%Q", text);

    strbuf_puts(out, quoted);
    sqlite3_free(quoted);
}

static bool takes(const struct catalog_filter *filter, unsigned type)
{
    return filter->types == 0 || (filter->types >> type & 1) != 0;
}

/** "(rows_vis + rows_vil)": over the types that are chosen. Frames and pixels are of rasters only.
 */
static void add_sum_of(struct strbuf *out, const struct catalog_filter *filter, const char *column)
{
    const bool raster = strcmp(column, "frames") == 0 || strcmp(column, "bytes") == 0;
    bool any = false;

    strbuf_putc(out, '(');
    for (unsigned type = 0; type < SEVIR_TYPE_COUNT; type++) {
        if (takes(filter, type) && !(raster && type == SEVIR_LGHT)) {
            strbuf_printf(out, "%s%s_%s", any ? " + " : "", column, sevir_type_name(type));
            any = true;
        }
    }
    strbuf_puts(out, any ? ")" : "0)");
}

static void add_rows_each(struct strbuf *out, const struct catalog_filter *filter)
{
    bool any = false;

    for (unsigned type = 0; type < SEVIR_TYPE_COUNT; type++) {
        const char *name = sevir_type_name(type);

        if (takes(filter, type)) {
            strbuf_printf(out, "%ssum(rows_%s) AS %s", any ? ", " : "", name, name);
            any = true;
        }
    }
}

/** One row of sums over all types, */
static void add_sums(struct strbuf *out, const struct catalog_filter *filter)
{
    bool any = false;

    for (unsigned type = 0; type < SEVIR_TYPE_COUNT; type++) {
        const char *name = sevir_type_name(type);

        if (!takes(filter, type)) {
            continue;
        }
        strbuf_printf(out,
                      "%stotal(rows_%s) AS rows_%s, total(rows_%s > 0) AS events_%s,"
                      " sum(missing_%s) / sum(known_%s) AS missing_%s",
                      any ? ",\n    " : "", name, name, name, name, name, name, name);
        if (type != SEVIR_LGHT) {
            strbuf_printf(out, ",\n    total(frames_%s) AS frames_%s, total(bytes_%s) AS bytes_%s",
                          name, name, name, name);
        }
        any = true;
    }
}

/** which becomes a row a type. */
static void add_types(struct strbuf *out, const struct catalog_filter *filter)
{
    bool any = false;

    for (unsigned type = 0; type < SEVIR_TYPE_COUNT; type++) {
        const char *name = sevir_type_name(type);

        if (!takes(filter, type)) {
            continue;
        }
        strbuf_printf(out,
                      "%sSELECT '%s' AS img_type, rows_%s AS \"rows\", events_%s AS events,"
                      " missing_%s AS missing, ",
                      any ? "\nUNION ALL " : "", name, name, name, name);
        if (type == SEVIR_LGHT) {
            strbuf_puts(out, "0 AS frames, 0 AS bytes FROM sums");
        } else {
            strbuf_printf(out, "frames_%s AS frames, bytes_%s AS bytes FROM sums", name, name);
        }
        any = true;
    }
}

/* ---- the filter ---- */

static void add_term(struct strbuf *out, bool *any)
{
    strbuf_puts(out, *any ? "\n  AND " : "\nWHERE ");
    *any = true;
}

static void add_event_types(struct strbuf *out, const struct catalog_filter *filter, bool *any)
{
    if (filter->event_type_count == 0) {
        return;
    }
    add_term(out, any);
    strbuf_puts(out, EVENT_TYPE " IN (");
    for (unsigned i = 0; i < filter->event_type_count; i++) {
        strbuf_puts(out, i > 0 ? ", " : "");
        add_quoted(out, filter->event_types[i]);
    }
    strbuf_putc(out, ')');
}

/** As `--bbox` of sevirctl: boxes that touch it. */
static void add_box(struct strbuf *out, const struct catalog_filter *filter, bool *any)
{
    if (filter->has_box) {
        add_term(out, any);
        strbuf_printf(out, "lat0 <= %.4f AND lat1 >= %.4f AND lon0 <= %.4f AND lon1 >= %.4f",
                      filter->lat1, filter->lat0, filter->lon1, filter->lon0);
    }
}

static void add_where(struct strbuf *out, const struct catalog_filter *filter, bool any)
{
    if (filter->from[0] != '\0') {
        add_term(out, &any);
        strbuf_puts(out, "time_utc >= ");
        add_quoted(out, filter->from);
    }
    if (filter->to[0] != '\0') {
        add_term(out, &any);
        strbuf_puts(out, "time_utc <= ");
        add_quoted(out, filter->to);
    }
    if (filter->types != 0) {
        add_term(out, &any);
        add_sum_of(out, filter, "rows");
        strbuf_puts(out, " > 0");
    }
    add_event_types(out, filter, &any);
    add_box(out, filter, &any);
    if (filter->id_prefix != NULL) {
        add_term(out, &any);
        strbuf_puts(out, "substr(id, 1, length(");
        add_quoted(out, filter->id_prefix);
        strbuf_puts(out, ")) = ");
        add_quoted(out, filter->id_prefix);
    }
}

/* ---- filling in ---- */

static enum rc add_stat(struct strbuf *out, const char *stat, struct err *err)
{
    static const char *const stats[] = {"valid", "min", "max",  "mean", "std",  "p01",
                                        "p10",   "p25", "p50",  "p75",  "p90",  "p99",
                                        "a16",   "a74", "a133", "a160", "a181", "a219"};

    for (unsigned i = 0; i < ARRAY_LEN(stats); i++) {
        if (strcmp(stats[i], stat) == 0) {
            strbuf_puts(out, stat);
            return RC_OK;
        }
    }
    scoped(strbuf_done) struct strbuf shown = {0};

    strbuf_printable(&shown, stat);
    return err_set(err, RC_INVALID, "'stat': there is no statistic '%.40s'", strbuf_text(&shown));
}

static enum rc add_level(struct strbuf *out, unsigned level, struct err *err)
{
    static const unsigned levels[] = {16, 74, 133, 160, 181, 219};

    for (unsigned i = 0; i < ARRAY_LEN(levels); i++) {
        if (levels[i] == level) {
            strbuf_printf(out, "%u", level);
            return RC_OK;
        }
    }
    return err_set(err, RC_INVALID, "'level': %u is none of 16, 74, 133, 160, 181, 219", level);
}

static enum rc add_part(const char *part, const struct catalog_chart *chart,
                        const struct catalog_chart_args *args, struct strbuf *out, struct err *err)
{
    const struct catalog_filter *filter = &args->filter;
    const unsigned level = args->level != 0 ? args->level : 133;

    if (strcmp(part, "where") == 0) {
        add_where(out, filter, false);
    } else if (strcmp(part, "where_strong") == 0) {
        strbuf_printf(out, "\nWHERE a%u > 0", level);
        add_where(out, filter, true);
    } else if (strcmp(part, "rows_each") == 0) {
        add_rows_each(out, filter);
    } else if (strcmp(part, "sums") == 0) {
        add_sums(out, filter);
    } else if (strcmp(part, "types") == 0) {
        add_types(out, filter);
    } else if (strcmp(part, "level") == 0) {
        return add_level(out, level, err);
    } else if (strcmp(part, "limit") == 0) {
        strbuf_printf(out, "%" PRIu64, args->limit != 0 ? args->limit : chart->limit);
    } else if (strcmp(part, "offset") == 0) {
        strbuf_printf(out, "%" PRIu64, args->offset);
    } else if (strcmp(part, "id") == 0) {
        add_quoted(out, args->id);
    } else if (strcmp(part, "type") == 0) {
        add_quoted(out, sevir_type_name(args->type));
    } else if (strcmp(part, "stat") == 0) {
        return add_stat(out, args->stat != NULL ? args->stat : "mean", err);
    } else {
        add_sum_of(out, filter, part);
    }
    return RC_OK;
}

enum rc catalog_chart_sql(const struct catalog_chart *chart, const struct catalog_chart_args *args,
                          struct strbuf *out, struct err *err)
{
    if ((chart->flags & CHART_OF_EVENT) != 0 && args->id == NULL) {
        return err_set(err, RC_INVALID, "'id' is missing: which event");
    }
    for (const char *at = chart->sql; *at != '\0';) {
        const size_t len = strcspn(at, "{");

        strbuf_add(out, at, len);
        at += len;
        if (*at == '{') {
            const char *end = strchr(at, '}');
            scoped(free) char *part = str_dup_n(at + 1, (size_t)(end - at - 1));

            if (add_part(part, chart, args, out, err) != RC_OK) {
                return err->rc;
            }
            at = end + 1;
        }
    }
    return RC_OK;
}

enum rc catalog_filter_time(const char *text, bool end, char ret_time[24], struct err *err)
{
    static const char shape[] = "0000-00-00 00:00:00";
    const char *open_end = "0000-12-31 23:59:59", *open_begin = "0000-01-01 00:00:00";
    char full[24];
    size_t len = strlen(text);
    int64_t epoch;

    len -= len > 0 && text[len - 1] == 'Z';
    if (len != 10 && len != 16 && len != 19) {
        return err_set(err, RC_INVALID, "'%.40s' is no time such as 2019-05-12 or 2019-05-12T18:30",
                       text);
    }
    snprintf(full, sizeof(full), "%.*s%s", (int)len, text, (end ? open_end : open_begin) + len);
    full[10] = full[10] == 'T' ? ' ' : full[10];
    for (size_t i = 0; i < sizeof(shape) - 1; i++) {
        const bool digit = full[i] >= '0' && full[i] <= '9';

        if (shape[i] == '0' ? !digit : full[i] != shape[i]) {
            return err_set(err, RC_INVALID, "'%.40s' is no time such as 2019-05-12", text);
        }
    }
    if (!now_parse_utc(full, &epoch)) {
        return err_set(err, RC_INVALID, "'%.40s' is no time there is", text);
    }
    memcpy(ret_time, full, sizeof(full));
    return RC_OK;
}
