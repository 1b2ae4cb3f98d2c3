/** @file
 * Both text formats, to the letter.
 */
#include "tests/unit.h"

#include <math.h>
#include <string.h>

#include "lib/base/metric.h"

enum { REQUESTS, DEPTH, WAIT, EMPTY, METRIC_COUNT };

static const double bounds[] = {0.1, 1, 10};
static const struct metric_family families[METRIC_COUNT] = {
    [REQUESTS] = {"requests_total", "Requests\nserved.", METRIC_COUNTER, {"method", "code"}},
    [DEPTH] = {"depth", "Depth of \"it\".", METRIC_GAUGE},
    [WAIT] = {"wait_seconds", "Time waited.", METRIC_HISTOGRAM, {NULL}, bounds, 3},
    [EMPTY] = {"unused_total", "Never touched.", METRIC_COUNTER, {"kind"}},
};

static struct metric_registry *registry;

static int set_up(void **state)
{
    registry = metric_registry_new("t_", families, METRIC_COUNT);
    return 0;
}

static int tear_down(void **state)
{
    metric_registry_free(registry);
    return 0;
}

static void assert_written(bool openmetrics, const char *wanted)
{
    scoped(strbuf_done) struct strbuf out = {0};

    metric_write(registry, openmetrics, &out);
    assert_string_equal(strbuf_text(&out), wanted);
}

static void a_fresh_registry_shows_zeros_for_what_has_no_labels(void **state)
{
    assert_written(false, "# HELP t_requests_total Requests\\nserved.\n"
                          "# TYPE t_requests_total counter\n"
                          "# HELP t_depth Depth of \"it\".\n"
                          "# TYPE t_depth gauge\n"
                          "t_depth 0\n"
                          "# HELP t_wait_seconds Time waited.\n"
                          "# TYPE t_wait_seconds histogram\n"
                          "t_wait_seconds_bucket{le=\"0.1\"} 0\n"
                          "t_wait_seconds_bucket{le=\"1\"} 0\n"
                          "t_wait_seconds_bucket{le=\"10\"} 0\n"
                          "t_wait_seconds_bucket{le=\"+Inf\"} 0\n"
                          "t_wait_seconds_sum 0\n"
                          "t_wait_seconds_count 0\n"
                          "# HELP t_unused_total Never touched.\n"
                          "# TYPE t_unused_total counter\n");
}

static void touch_all(void)
{
    metric_add(registry, REQUESTS, METRIC_LABELS("put", "200"), 3);
    metric_add(registry, REQUESTS, METRIC_LABELS("get", "404"), 1);
    metric_add(registry, REQUESTS, METRIC_LABELS("get", "200"), 1e15);
    metric_set(registry, DEPTH, NULL, 2.5);
    metric_observe(registry, WAIT, NULL, 0.1);
    metric_observe(registry, WAIT, NULL, 0.5);
    metric_observe(registry, WAIT, NULL, 50);
}

static void series_are_ordered_and_buckets_cumulate(void **state)
{
    touch_all();
    assert_written(false, "# HELP t_requests_total Requests\\nserved.\n"
                          "# TYPE t_requests_total counter\n"
                          "t_requests_total{method=\"get\",code=\"200\"} 1000000000000000\n"
                          "t_requests_total{method=\"get\",code=\"404\"} 1\n"
                          "t_requests_total{method=\"put\",code=\"200\"} 3\n"
                          "# HELP t_depth Depth of \"it\".\n"
                          "# TYPE t_depth gauge\n"
                          "t_depth 2.5\n"
                          "# HELP t_wait_seconds Time waited.\n"
                          "# TYPE t_wait_seconds histogram\n"
                          "t_wait_seconds_bucket{le=\"0.1\"} 1\n"
                          "t_wait_seconds_bucket{le=\"1\"} 2\n"
                          "t_wait_seconds_bucket{le=\"10\"} 2\n"
                          "t_wait_seconds_bucket{le=\"+Inf\"} 3\n"
                          "t_wait_seconds_sum 50.6\n"
                          "t_wait_seconds_count 3\n"
                          "# HELP t_unused_total Never touched.\n"
                          "# TYPE t_unused_total counter\n");
}

static void openmetrics_names_counters_without_total_and_ends(void **state)
{
    touch_all();
    assert_written(true, "# HELP t_requests Requests\\nserved.\n"
                         "# TYPE t_requests counter\n"
                         "t_requests_total{method=\"get\",code=\"200\"} 1000000000000000\n"
                         "t_requests_total{method=\"get\",code=\"404\"} 1\n"
                         "t_requests_total{method=\"put\",code=\"200\"} 3\n"
                         "# HELP t_depth Depth of \\\"it\\\".\n"
                         "# TYPE t_depth gauge\n"
                         "t_depth 2.5\n"
                         "# HELP t_wait_seconds Time waited.\n"
                         "# TYPE t_wait_seconds histogram\n"
                         "t_wait_seconds_bucket{le=\"0.1\"} 1\n"
                         "t_wait_seconds_bucket{le=\"1.0\"} 2\n"
                         "t_wait_seconds_bucket{le=\"10.0\"} 2\n"
                         "t_wait_seconds_bucket{le=\"+Inf\"} 3\n"
                         "t_wait_seconds_sum 50.6\n"
                         "t_wait_seconds_count 3\n"
                         "# HELP t_unused Never touched.\n"
                         "# TYPE t_unused counter\n"
                         "# EOF\n");
}

static void label_values_are_escaped(void **state)
{
    scoped(strbuf_done) struct strbuf out = {0};

    metric_add(registry, EMPTY, METRIC_LABELS("a\"b\\c\nd"), 1);
    metric_write(registry, false, &out);
    assert_non_null(strstr(strbuf_text(&out), "t_unused_total{kind=\"a\\\"b\\\\c\\nd\"} 1\n"));
}

static void values_read_back(void **state)
{
    assert_true(metric_value(registry, REQUESTS, METRIC_LABELS("get", "200")) == 0);
    touch_all();
    assert_true(metric_value(registry, REQUESTS, METRIC_LABELS("put", "200")) == 3);
    assert_true(metric_value(registry, WAIT, NULL) == 3);
    metric_add(registry, DEPTH, NULL, -1);
    assert_true(metric_value(registry, DEPTH, NULL) == 1.5);
}

static void what_is_not_finite_is_spelled(void **state)
{
    scoped(strbuf_done) struct strbuf out = {0};

    metric_set(registry, DEPTH, NULL, NAN);
    metric_observe(registry, WAIT, NULL, INFINITY);
    metric_write(registry, false, &out);
    assert_non_null(strstr(strbuf_text(&out), "t_depth NaN\n"));
    assert_non_null(strstr(strbuf_text(&out), "t_wait_seconds_sum +Inf\n"));
    assert_non_null(strstr(strbuf_text(&out), "le=\"+Inf\"} 1\n"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_fresh_registry_shows_zeros_for_what_has_no_labels),
        TEST(series_are_ordered_and_buckets_cumulate),
        TEST(openmetrics_names_counters_without_total_and_ends),
        TEST(label_values_are_escaped),
        TEST(values_read_back),
        TEST(what_is_not_finite_is_spelled),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
