#include "lib/base/metric.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>

#include "lib/base/mem.h"

struct series {
    char *labels[METRIC_LABELS_MAX];
    double value;      /**< A histogram's sum. */
    uint64_t count;    /**< Histograms. */
    uint64_t *buckets; /**< Histograms: one a bound, each for itself; written cumulated. */
};

/** The series of one family, ordered by their labels. */
struct table {
    struct series *items;
    unsigned count, cap;
};

struct metric_registry {
    char *prefix;
    const struct metric_family *families;
    struct table *tables; /**< One a family. */
    unsigned count;
};

struct metric_registry *metric_registry_new(const char *prefix,
                                            const struct metric_family *families, unsigned count)
{
    struct metric_registry *registry = mem_new(struct metric_registry);

    registry->prefix = str_dup(prefix);
    registry->families = families;
    registry->tables = mem_resize(NULL, count, sizeof(registry->tables[0]));
    registry->count = count;
    for (unsigned i = 0; i < count; i++) {
        registry->tables[i] = (struct table){0};
    }
    return registry;
}

void metric_registry_free(struct metric_registry *registry)
{
    if (registry == NULL) {
        return;
    }
    for (unsigned i = 0; i < registry->count; i++) {
        struct table *table = &registry->tables[i];

        for (unsigned k = 0; k < table->count; k++) {
            for (unsigned n = 0; n < METRIC_LABELS_MAX; n++) {
                free(table->items[k].labels[n]);
            }
            free(table->items[k].buckets);
        }
        free(table->items);
    }
    free(registry->tables);
    free(registry->prefix);
    free(registry);
}

/* Finding and making series */

static unsigned label_count(const struct metric_family *family)
{
    unsigned count = 0;

    while (count < METRIC_LABELS_MAX && family->labels[count] != NULL) {
        count++;
    }
    return count;
}

static const char *label_at(const char *const *labels, unsigned n)
{
    return labels != NULL && labels[n] != NULL ? labels[n] : "";
}

static int compare(const struct series *series, const char *const *labels, unsigned count)
{
    int order = 0;

    for (unsigned n = 0; n < count && order == 0; n++) {
        order = strcmp(series->labels[n], label_at(labels, n));
    }
    return order;
}

/** Where the series is, or would be. */
static unsigned lower_bound(const struct table *table, const char *const *labels, unsigned count)
{
    unsigned low = 0, high = table->count;

    while (low < high) {
        unsigned middle = low + (high - low) / 2;

        if (compare(&table->items[middle], labels, count) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static struct series *series_touch(struct metric_registry *registry, unsigned id,
                                   const char *const *labels)
{
    const struct metric_family *family = &registry->families[id];
    struct table *table = &registry->tables[id];
    unsigned count = label_count(family), at = lower_bound(table, labels, count);
    struct series *series;

    if (at < table->count && compare(&table->items[at], labels, count) == 0) {
        return &table->items[at];
    }
    if (table->count == table->cap) {
        table->cap = MAX_OF(table->cap * 2, 4u);
        table->items = mem_resize(table->items, table->cap, sizeof(table->items[0]));
    }
    series = &table->items[at];
    memmove(series + 1, series, (table->count - at) * sizeof(*series));
    table->count++;
    *series = (struct series){0};
    for (unsigned n = 0; n < count; n++) {
        series->labels[n] = str_dup(label_at(labels, n));
    }
    if (family->type == METRIC_HISTOGRAM) {
        series->buckets = mem_zeroed(MAX_OF(family->bound_count, 1u) * sizeof(uint64_t));
    }
    return series;
}

void metric_add(struct metric_registry *registry, unsigned family, const char *const *labels,
                double value)
{
    assert(family < registry->count && registry->families[family].type != METRIC_HISTOGRAM);
    assert(value >= 0 || registry->families[family].type == METRIC_GAUGE);
    series_touch(registry, family, labels)->value += value;
}

void metric_set(struct metric_registry *registry, unsigned family, const char *const *labels,
                double value)
{
    assert(family < registry->count && registry->families[family].type != METRIC_HISTOGRAM);
    series_touch(registry, family, labels)->value = value;
}

void metric_observe(struct metric_registry *registry, unsigned family, const char *const *labels,
                    double value)
{
    const struct metric_family *shape = &registry->families[family];
    struct series *series;
    unsigned bucket = 0;

    assert(family < registry->count && shape->type == METRIC_HISTOGRAM);
    series = series_touch(registry, family, labels);
    while (bucket < shape->bound_count && !(value <= shape->bounds[bucket])) {
        bucket++;
    }
    if (bucket < shape->bound_count) {
        series->buckets[bucket]++;
    }
    series->value += value;
    series->count++;
}

double metric_value(const struct metric_registry *registry, unsigned family,
                    const char *const *labels)
{
    const struct table *table = &registry->tables[family];
    unsigned count = label_count(&registry->families[family]);
    unsigned at = lower_bound(table, labels, count);

    if (at == table->count || compare(&table->items[at], labels, count) != 0) {
        return 0;
    }
    return registry->families[family].type == METRIC_HISTOGRAM ? (double)table->items[at].count
                                                               : table->items[at].value;
}

/* Writing */

static void write_number(struct strbuf *out, double value)
{
    if (isnan(value)) {
        strbuf_puts(out, "NaN");
    } else if (isinf(value)) {
        strbuf_puts(out, value > 0 ? "+Inf" : "-Inf");
    } else if (fabs(value) < 9007199254740992.0 && value == floor(value)) {
        strbuf_printf(out, "%" PRId64, (int64_t)value);
    } else {
        strbuf_double(out, value);
    }
}

static void write_escaped(struct strbuf *out, const char *text, bool quotes)
{
    for (; *text != '\0'; text++) {
        if (*text == '\n') {
            strbuf_puts(out, "\\n");
            continue;
        }
        if (*text == '\\' || (quotes && *text == '"')) {
            strbuf_putc(out, '\\');
        }
        strbuf_putc(out, *text);
    }
}

/** `{a="1",b="2",le="0.5"}`; nothing at all without labels. */
static void write_labels(struct strbuf *out, const struct metric_family *family,
                         const struct series *series, const char *le)
{
    const char *between = "{";

    for (unsigned n = 0; n < label_count(family); n++) {
        strbuf_printf(out, "%s%s=\"", between, family->labels[n]);
        write_escaped(out, series->labels[n], true);
        strbuf_putc(out, '"');
        between = ",";
    }
    if (le != NULL) {
        strbuf_printf(out, "%sle=\"%s\"", between, le);
        between = ",";
    }
    if (between[0] == ',') {
        strbuf_putc(out, '}');
    }
}

static void write_sample(struct strbuf *out, const char *prefix, const struct metric_family *family,
                         const struct series *series, const char *suffix, double value)
{
    strbuf_printf(out, "%s%s%s", prefix, family->name, suffix);
    write_labels(out, family, series, NULL);
    strbuf_putc(out, ' ');
    write_number(out, value);
    strbuf_putc(out, '\n');
}

static void write_histogram(struct strbuf *out, const char *prefix,
                            const struct metric_family *family, const struct series *series,
                            bool openmetrics)
{
    uint64_t below = 0;

    for (unsigned i = 0; i <= family->bound_count; i++) {
        bool last = i == family->bound_count;
        scoped(strbuf_done) struct strbuf le = {0};

        write_number(&le, last ? (double)INFINITY : family->bounds[i]);
        if (openmetrics && !last && strpbrk(strbuf_text(&le), ".eE") == NULL) {
            strbuf_puts(&le, ".0"); /* OpenMetrics wants its bounds written as floats. */
        }
        below = last ? series->count : below + series->buckets[i];
        strbuf_printf(out, "%s%s_bucket", prefix, family->name);
        write_labels(out, family, series, strbuf_text(&le));
        strbuf_printf(out, " %" PRIu64 "\n", below);
    }
    write_sample(out, prefix, family, series, "_sum", series->value);
    write_sample(out, prefix, family, series, "_count", (double)series->count);
}

static void write_heading(struct strbuf *out, const char *prefix,
                          const struct metric_family *family, bool openmetrics)
{
    static const char *const types[] = {
        [METRIC_COUNTER] = "counter", [METRIC_GAUGE] = "gauge", [METRIC_HISTOGRAM] = "histogram"};
    size_t len = strlen(family->name);

    if (openmetrics && family->type == METRIC_COUNTER && str_ends(family->name, "_total")) {
        len -= strlen("_total");
    }
    strbuf_printf(out, "# HELP %s%.*s ", prefix, (int)len, family->name);
    write_escaped(out, family->help, openmetrics);
    strbuf_printf(out, "\n# TYPE %s%.*s %s\n", prefix, (int)len, family->name, types[family->type]);
}

static void write_series(struct strbuf *out, const char *prefix, const struct metric_family *family,
                         const struct series *series, bool openmetrics)
{
    if (family->type == METRIC_HISTOGRAM) {
        write_histogram(out, prefix, family, series, openmetrics);
    } else {
        write_sample(out, prefix, family, series, "", series->value);
    }
}

void metric_write(const struct metric_registry *registry, bool openmetrics, struct strbuf *out)
{
    for (unsigned i = 0; i < registry->count; i++) {
        const struct metric_family *family = &registry->families[i];
        const struct table *table = &registry->tables[i];

        write_heading(out, registry->prefix, family, openmetrics);
        for (unsigned k = 0; k < table->count; k++) {
            write_series(out, registry->prefix, family, &table->items[k], openmetrics);
        }
        if (table->count == 0 && family->labels[0] == NULL) {
            uint64_t *none = mem_zeroed(MAX_OF(family->bound_count, 1u) * sizeof(uint64_t));
            struct series zero = {.buckets = none};

            write_series(out, registry->prefix, family, &zero, openmetrics);
            free(none);
        }
    }
    if (openmetrics) {
        strbuf_puts(out, "# EOF\n");
    }
}
