/** @file
 * Counters, gauges and histograms in the Prometheus model, and their two text formats.
 *
 * A family is declared once as data (daemon/metrics.h); a series of it appears when it is first
 * touched. Label values are few and known: never a key, an etag or an id.
 *
 * Thread:     the loop's. Workers return what they counted with their result.
 * Ownership:  the registry copies label values and owns every series; families are static.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/scope.h"
#include "lib/base/str.h"

#define METRIC_LABELS_MAX 3

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

struct metric_family {
    const char *name; /**< Without prefix, a counter's with its `_total`. */
    const char *help;
    enum metric_type type;
    const char *labels[METRIC_LABELS_MAX]; /**< NULL-terminated if fewer. */
    const double *bounds;                  /**< Histograms: ascending upper bounds, without +Inf. */
    unsigned bound_count;
};

struct metric_registry;

/** `families` is indexed by the ids that the calls below take; `prefix` is "sevird_". */
struct metric_registry *metric_registry_new(const char *prefix,
                                            const struct metric_family *families, unsigned count);
void metric_registry_free(struct metric_registry *registry);
SCOPED_FN(struct metric_registry, metric_registry_free)

/** Label values in the family's order; "" for those it does not have. */
#define METRIC_LABELS(...) ((const char *const[METRIC_LABELS_MAX]){__VA_ARGS__})

void metric_add(struct metric_registry *registry, unsigned family, const char *const *labels,
                double value);
void metric_set(struct metric_registry *registry, unsigned family, const char *const *labels,
                double value);
void metric_observe(struct metric_registry *registry, unsigned family, const char *const *labels,
                    double value);
/** 0 for a series that was never touched; a histogram's count. */
double metric_value(const struct metric_registry *registry, unsigned family,
                    const char *const *labels);

/** Text format 0.0.4, or OpenMetrics 1.0.0 with its `# EOF`. Series in a stable order. */
void metric_write(const struct metric_registry *registry, bool openmetrics, struct strbuf *out);
