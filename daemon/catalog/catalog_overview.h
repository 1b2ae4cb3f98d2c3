/** @file
 * The charts that are shown together, drawn from a copy of `event_summary` in memory: one pass over
 * some 20,000 records a chart instead of a statement that sorts them, so that a filter costs
 * milliseconds.
 *
 * Each chart's rows are those that its statement (catalog_charts.h) gives, which is shown beside it
 * and can be run: the tests compare the two.
 *
 * Thread:     any. A copy is constant once it was loaded: several may draw from it at once.
 */
#pragma once

#include "daemon/catalog/catalog_charts.h"

/** With more events than this there is no copy (RC_LIMIT), and the statements are run: it would
 * hold 40 MB and more. SEVIR has 20,000. */
#define CATALOG_OVERVIEW_EVENTS 100000

struct catalog_overview;
/** Which events of a copy a filter leaves. */
struct catalog_picked;

/** Inside catalog_read(). */
enum rc catalog_overview_load(struct db *db, struct catalog_overview **ret_overview,
                              struct err *err);
void catalog_overview_free(struct catalog_overview *overview);
SCOPED_FN(struct catalog_overview, catalog_overview_free)

struct catalog_picked *catalog_overview_pick(const struct catalog_overview *overview,
                                             const struct catalog_filter *filter);
void catalog_picked_free(struct catalog_picked *picked);
SCOPED_FN(struct catalog_picked, catalog_picked_free)

/** Appends the rows of a chart of the overview as catalog_query_run() does, in JSON.
 * Requires: CHART_OVERVIEW; `args` for which catalog_chart_sql() has made a statement. */
void catalog_overview_draw(const struct catalog_overview *overview,
                           const struct catalog_picked *picked, const struct catalog_chart *chart,
                           const struct catalog_chart_args *args, struct strbuf *out);
