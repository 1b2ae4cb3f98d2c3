/** @file
 * What to extract: years, months, types, storm or random events, event types, ids, a box, a limit.
 * Pure. Used by the daemon's configuration and by sevirctl's ARGS alike.
 *
 * Empty lists mean everything. `bbox` keeps rows whose box intersects it. `limit` (0: none) keeps
 * the first rows in the catalog's order.
 *
 * Ownership:  a selection owns its lists.
 */
#pragma once

#include <stdbool.h>

#include "lib/sevir/catalog_row.h"

enum selection_events { SELECT_ALL, SELECT_STORM, SELECT_RANDOM };

struct selection {
    int *years;
    unsigned year_count;
    unsigned months; /**< Bit m-1; 0: all. */
    unsigned types;  /**< Bit `enum sevir_type`; 0: all. */
    enum selection_events events;
    char **event_types; /**< Compared without regard to case. */
    unsigned event_type_count;
    char **ids;
    unsigned id_count;
    bool has_bbox;
    double lat0, lon0, lat1, lon1; /**< lat0 <= lat1, lon0 <= lon1. */
    uint64_t limit;
};

void selection_done(struct selection *selection);

/** One "--NAME VALUE" of the command line, or one scalar of the configuration: name is "year",
 * "month", "type", "events", "event-type", "id", "bbox", "limit". RC_INVALID names both. */
enum rc selection_set(struct selection *selection, const char *name, const char *value,
                      struct err *err);
/** All but the limit, which is the caller's to count. */
bool selection_matches(const struct selection *selection, const struct catalog_row *row);
/** Whether anything of the type can match: lets a whole file be skipped by its dataset. */
bool selection_wants_type(const struct selection *selection, enum sevir_type type);
/** Canonical JSON: equal selections give equal text (its digest is part of a manifest). */
void selection_json(const struct selection *selection, struct strbuf *out);
