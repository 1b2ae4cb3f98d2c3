#include "tests/unit/daemon/catalog/temp_catalog.h"

#include "daemon/catalog/catalog_charts.h"
#include "daemon/catalog/catalog_query.h"

#define assert_err(call, code, words)             \
    do {                                          \
        assert_int_equal(call, code);             \
        assert_non_null(strstr(err.text, words)); \
    } while (0)

/** The chart's CSV. */
static char *run_chart(struct db *db, const char *name, const struct catalog_chart_args *args)
{
    struct catalog_query_result result;
    struct strbuf sql = {0}, out = {0};
    const struct catalog_chart *chart = catalog_chart_find(name);

    assert_non_null(chart);
    assert_ok(catalog_chart_sql(chart, args, &sql, &err));
    const struct catalog_query query = {.sql = strbuf_text(&sql), .format = CATALOG_CSV};

    assert_ok(catalog_query_run(db, &query, &out, &result, &err));
    strbuf_done(&sql);
    return strbuf_take(&out);
}

#define assert_chart(db, name, args, expected)                         \
    do {                                                               \
        scoped(free) char *found_ = run_chart(db, name, args);         \
        const char *rows_ = strchr(found_, '\n');                      \
        assert_string_equal(rows_ != NULL ? rows_ + 1 : "", expected); \
    } while (0)

static void fill(struct db *db)
{
    assert_ok(db_exec(
        db,
        "INSERT INTO event_facts SELECT id, time, substr(time, 1, 7), type, type IS NOT NULL, lat,"
        "  -100, lat + 3, -97, 2, 1, 0, 0, 1, 0, 0.5, 0, 0, 0, 0, 1, 0, 0, 1, 0, 49, 0, 0, 49, 98, "
        "0, 0,"
        "  49, 0, 7, 0.9, 0.5, area, 0.1, 0.1, 0.0, time FROM ("
        " SELECT 'S1' AS id, '2019-05-12 18:30:00' AS time, 'Hail' AS type, 30 AS lat, 0.3 AS area"
        " UNION ALL SELECT 'S2', '2019-06-01 00:00:00', 'O''Hail', 35, 0.6"
        " UNION ALL SELECT 'R3', '2019-06-02 00:00:00', NULL, 40, NULL)",
        &err));
}

static void every_chart_runs_with_every_filter(void **state)
{
    struct temp_catalog *temp = *state;
    struct catalog_chart_args args = {.filter = {.from = "2019-01-01 00:00:00",
                                                 .to = "2019-12-31 23:59:59",
                                                 .types = 1u << SEVIR_VIL | 1u << SEVIR_LGHT,
                                                 .event_types = {"Hail", CATALOG_NO_EVENT_TYPE},
                                                 .event_type_count = 2,
                                                 .has_box = true,
                                                 .lat0 = 20,
                                                 .lon0 = -120,
                                                 .lat1 = 50,
                                                 .lon1 = -60,
                                                 .id_prefix = "S"},
                                      .id = "S1",
                                      .limit = 10,
                                      .offset = 0};

    fill(temp->db);
    for (unsigned i = 0; i < catalog_chart_count; i++) {
        scoped(free) char *some = run_chart(temp->db, catalog_charts[i].name, &args);
        scoped(free) char *all =
            run_chart(temp->db, catalog_charts[i].name, &(struct catalog_chart_args){.id = "S1"});

        assert_non_null(strchr(some, '\n'));
        assert_non_null(strchr(all, '\n'));
    }
}

static void a_filter_leaves_the_events_it_means(void **state)
{
    struct temp_catalog *temp = *state;

    fill(temp->db);
    assert_chart(temp->db, "months", &(struct catalog_chart_args){0}, "2019-05,1,0\n2019-06,1,1\n");
    assert_chart(temp->db, "months",
                 (&(struct catalog_chart_args){.filter = {.from = "2019-05-12 18:30:01"}}),
                 "2019-06,1,1\n");
    assert_chart(temp->db, "months",
                 (&(struct catalog_chart_args){.filter = {.to = "2019-05-12 18:30:00"}}),
                 "2019-05,1,0\n");
    assert_chart(
        temp->db, "months",
        (&(struct catalog_chart_args){
            .filter = {.has_box = true, .lat0 = 42, .lat1 = 50, .lon0 = -99, .lon1 = -98}}),
        "2019-06,0,1\n");
    assert_chart(temp->db, "months",
                 (&(struct catalog_chart_args){
                     .filter = {.event_types = {CATALOG_NO_EVENT_TYPE}, .event_type_count = 1}}),
                 "2019-06,0,1\n");
    assert_chart(temp->db, "months",
                 (&(struct catalog_chart_args){.filter = {.types = 1u << SEVIR_LGHT}}), "");
    assert_chart(temp->db, "months", (&(struct catalog_chart_args){.filter = {.id_prefix = "S2"}}),
                 "2019-06,1,0\n");
}

static void values_are_never_words_of_sql(void **state)
{
    struct temp_catalog *temp = *state;

    fill(temp->db);
    assert_chart(temp->db, "event_types",
                 (&(struct catalog_chart_args){
                     .filter = {.event_types = {"O'Hail"}, .event_type_count = 1}}),
                 "O'Hail,1,1,0,0,1,0\n");
    assert_chart(temp->db, "months",
                 (&(struct catalog_chart_args){
                     .filter = {.event_types = {"x') OR (1=1"}, .event_type_count = 1}}),
                 "");
    assert_chart(temp->db, "stat",
                 (&(struct catalog_chart_args){.id = "' UNION SELECT 1,2,3,4,5,6,7,8 --"}), "");
}

static void the_types_that_are_chosen_are_summed_up(void **state)
{
    struct temp_catalog *temp = *state;

    fill(temp->db);
    assert_chart(temp->db, "types",
                 (&(struct catalog_chart_args){.filter = {.types = 1u << SEVIR_VIL}}),
                 "vil,3,3,0,147,147\n");
    assert_chart(temp->db, "strongest", (&(struct catalog_chart_args){.limit = 1}),
                 "S2,O'Hail,2019-06-01 00:00:00,0.6,2019-06-01 00:00:00\n");
}

static void what_is_no_argument_is_refused(void **state)
{
    struct strbuf sql = {0};
    char time[24];
    (void)state;

    assert_err(
        catalog_chart_sql(catalog_chart_find("stat"), &(struct catalog_chart_args){0}, &sql, &err),
        RC_INVALID, "'id' is missing");
    assert_err(catalog_chart_sql(catalog_chart_find("stat"),
                                 &(struct catalog_chart_args){.id = "S1", .stat = "1; DROP"}, &sql,
                                 &err),
               RC_INVALID, "no statistic");
    assert_err(catalog_chart_sql(catalog_chart_find("strongest"),
                                 &(struct catalog_chart_args){.level = 5}, &sql, &err),
               RC_INVALID, "'level'");
    assert_null(catalog_chart_find("nothing"));
    strbuf_done(&sql);
    static const char *const bad[] = {
        "",           "2019",       "2019-13-01", "2019-05-12 25:00",
        "2019-02-30", "2019-05-1'", "x",          "2019-05-12T18:30:00ZZ"};

    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(catalog_filter_time(bad[i], false, time, &err), RC_INVALID);
    }
    assert_ok(catalog_filter_time("2019-05-12", true, time, &err));
    assert_string_equal(time, "2019-05-12 23:59:59");
    assert_ok(catalog_filter_time("2019-05-12T18:30Z", false, time, &err));
    assert_string_equal(time, "2019-05-12 18:30:00");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, temp_catalog_open, temp_catalog_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_chart_runs_with_every_filter), TEST(a_filter_leaves_the_events_it_means),
        TEST(values_are_never_words_of_sql),      TEST(the_types_that_are_chosen_are_summed_up),
        TEST(what_is_no_argument_is_refused),
    };

    return cmocka_run_group_tests_name("catalog_charts", tests, NULL, NULL);
}
