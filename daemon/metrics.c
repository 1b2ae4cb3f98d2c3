/** @file
 * The table of metric families, from METRIC_MAP.
 */
#include "daemon/metrics.h"

#include "lib/base/mem.h"

/* clang-format off */
static const double seconds_bounds[] = {SECONDS_BUCKETS};
static const double lag_bounds[] = {LAG_BUCKETS};

#define BOUNDS_SECONDS .bounds = seconds_bounds, .bound_count = ARRAY_LEN(seconds_bounds)
#define BOUNDS_LAG .bounds = lag_bounds, .bound_count = ARRAY_LEN(lag_bounds)

#define COUNTER(id, text, words, ...) \
    [METRIC_##id] = {.name = text, .help = words, .type = METRIC_COUNTER, .labels = {__VA_ARGS__}},
#define GAUGE(id, text, words, ...) \
    [METRIC_##id] = {.name = text, .help = words, .type = METRIC_GAUGE, .labels = {__VA_ARGS__}},
#define HISTOGRAM(id, text, words, kind, ...) \
    [METRIC_##id] = {.name = text, .help = words, .type = METRIC_HISTOGRAM, BOUNDS_##kind, .labels = {__VA_ARGS__}},

const struct metric_family metric_families[METRIC_COUNT] = {
    METRIC_MAP(COUNTER, GAUGE, HISTOGRAM)
};
/* clang-format on */
