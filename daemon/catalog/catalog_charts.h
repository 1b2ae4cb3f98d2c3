/** @file
 * The charts' queries, by name, over `event_summary`, `frames` and `flashes`: what the dashboard
 * shows, as SQL that people may run themselves.
 *
 * A statement is written with its values in it, each quoted here; who asks chooses a name and
 * values, never words of SQL.
 *
 * Thread:     any.
 */
#pragma once

#include "daemon/catalog/catalog.h"
#include "lib/base/str.h"
#include "lib/sevir/naming.h"

#define CATALOG_FILTER_EVENT_TYPES 16
/** What stands for events that have no event type. */
#define CATALOG_NO_EVENT_TYPE "(none)"

/** Which events; all of them when it is zero. */
struct catalog_filter {
    char from[24], to[24]; /**< "2019-05-12 18:30:00", both included; "": open. */
    unsigned types;        /**< Bits by enum sevir_type; with a row of any of them. 0: any. */
    const char *event_types[CATALOG_FILTER_EVENT_TYPES];
    unsigned event_type_count;
    bool has_box; /**< Events whose box touches it. */
    double lat0, lon0, lat1, lon1;
    const char *id_prefix; /**< NULL: any. */
};

struct catalog_chart_args {
    struct catalog_filter filter;
    const char *id;       /**< For charts of one event. */
    enum sevir_type type; /**< For `stat`. */
    const char *stat;     /**< Of `frames`: "mean"; NULL: that. */
    unsigned level;       /**< VIL code of an area, as in `a133`; 0: that. */
    uint64_t limit;       /**< 0: the chart's own. */
    uint64_t offset;
};

enum catalog_chart_flags {
    CHART_OVERVIEW = 1, /**< One of those that are shown together. */
    CHART_OF_EVENT = 2, /**< Needs `id`. */
};

struct catalog_chart {
    const char *name, *title;
    unsigned flags;
    uint64_t limit;  /**< Rows, unless asked for others. */
    const char *sql; /**< With {parts}. */
};

extern const struct catalog_chart catalog_charts[];
extern const unsigned catalog_chart_count;

/** NULL when there is none of this name. */
const struct catalog_chart *catalog_chart_find(const char *name);
/** Appends the statement. RC_INVALID names the argument that is wrong. */
enum rc catalog_chart_sql(const struct catalog_chart *chart, const struct catalog_chart_args *args,
                          struct strbuf *out, struct err *err);
/** "2019-05-12", "2019-05-12 18:30", "2019-05-12T18:30:00Z" and the like, into `ret_time`; `end`:
 * the last second of what is not given. RC_INVALID. */
enum rc catalog_filter_time(const char *text, bool end, char ret_time[24], struct err *err);
