/** @file
 * Private to catalog_overview*.c: the copy, and what a filter left of it.
 *
 * Thread:     any; constant while it is drawn from.
 */
#pragma once

#include "daemon/catalog/catalog_overview.h"
#include "lib/base/arena.h"

#define OVERVIEW_RASTERS 4 /**< Types before lightning, which has no frames. */
#define OVERVIEW_LEVELS 6
#define OVERVIEW_NOWHERE INT64_MIN /* before all others, as NULL is */

/** What charts count by; the groups of each are numbered in the order of their names. */
enum overview_grouping { BY_MONTH, BY_EVENT_TYPE, BY_CELL, OVERVIEW_GROUPINGS };

/** A row of `event_summary`. A number that is NULL there is NaN. */
struct overview_event {
    const char *id, *time, *month, *event_type, *peak; /**< `peak` may be NULL. */
    bool storm;
    int64_t lat, lon; /**< Its cell's corner; OVERVIEW_NOWHERE when it has none. */
    double box[4];
    int64_t rows[SEVIR_TYPE_COUNT], known[SEVIR_TYPE_COUNT];
    double missing[SEVIR_TYPE_COUNT];
    int64_t frames[OVERVIEW_RASTERS], bytes[OVERVIEW_RASTERS], all_frames, flashes;
    double areas[OVERVIEW_LEVELS];
    unsigned group[OVERVIEW_GROUPINGS];
};

struct catalog_overview {
    struct arena *strings;
    struct overview_event *events; /**< By id. */
    unsigned count, cap;
    /** One event of each group. */
    const struct overview_event **groups[OVERVIEW_GROUPINGS];
    unsigned group_count[OVERVIEW_GROUPINGS];
};

struct catalog_picked {
    const struct overview_event **events; /**< By id. */
    unsigned count;
    unsigned types; /**< Bits: those that are counted. */
};

/** In the order of the columns a16, a74, ... */
extern const unsigned overview_levels[OVERVIEW_LEVELS];
