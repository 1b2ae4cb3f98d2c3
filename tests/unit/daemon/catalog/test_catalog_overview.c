#include "tests/unit/daemon/catalog/temp_catalog.h"

#include "daemon/catalog/catalog_overview.h"
#include "daemon/catalog/catalog_query.h"
#include "lib/base/mem.h"

/** Events whose numbers are exact in any order of adding, some of them NULL, many of them equal. */
static void fill(struct db *db)
{
    assert_ok(db_exec(
        db,
        "INSERT INTO event_facts WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n"
        "  WHERE i < 699)"
        " SELECT CASE i % 3 WHEN 0 THEN 'S' ELSE 'R' END || (i * 7919 % 10007),"
        "  datetime('2018-01-01', (i * 131 % 500) || ' days'),"
        "  strftime('%Y-%m', '2018-01-01', (i * 131 % 500) || ' days'),"
        "  CASE i % 7 WHEN 0 THEN NULL WHEN 1 THEN 'Hail' WHEN 2 THEN 'hail' WHEN 3 THEN 'O''Hail'"
        "   ELSE 'Flood' END, i % 3 = 0,"
        "  nullif(i % 40 - 10.25, 3.75), i % 90 - 120.5, i % 40 - 6.75, i % 90 - 116.25, i % 5,"
        "  i % 2, i % 3 = 1, i % 4, i % 5 > 1, i % 2,"
        "  i % 2 / 64.0, 0, i % 4 / 32.0, i % 5 / 128.0, 0.5,"
        "  i % 2, 0, i % 4, i % 5 > 1, i % 2,"
        "  49 * (i % 2), 0, 49 * (i % 11 = 0), 49 * (i % 5), 98 * (i % 2), 0, i % 7, 384 * (i % 5),"
        "  0, i % 13,"
        "  nullif(i % 16 / 16.0, 0.5), i % 8 / 16.0, nullif(i % 6 / 8.0, 0.25), NULL, 0, i % 3 / "
        "9.0,"
        "  CASE i % 4 WHEN 0 THEN NULL ELSE '2018-03-04 05:06:07' END FROM n",
        &err));
}

static char *by_statement(struct db *db, const struct catalog_chart *chart,
                          const struct catalog_chart_args *args)
{
    scoped(strbuf_done) struct strbuf sql = {0};
    struct strbuf out = {0};
    struct catalog_query_result result;

    assert_ok(catalog_chart_sql(chart, args, &sql, &err));
    const struct catalog_query query = {.sql = strbuf_text(&sql), .max_rows = 100000};

    assert_ok(catalog_query_run(db, &query, &out, &result, &err));
    return strbuf_take(&out);
}

static char *by_copy(const struct catalog_overview *overview, const struct catalog_chart *chart,
                     const struct catalog_chart_args *args)
{
    scoped(catalog_picked_free) struct catalog_picked *picked =
        catalog_overview_pick(overview, &args->filter);
    struct strbuf out = {0};

    catalog_overview_draw(overview, picked, chart, args, &out);
    return strbuf_take(&out);
}

/** Of a column of which no value was seen SQLite cannot tell the type. */
static void cut_types(char *json)
{
    char *types = strstr(json, ",\"types\":"), *rows = strstr(json, ",\"rows\":");

    assert_true(types != NULL && rows != NULL && types < rows);
    memmove(types, rows, strlen(rows) + 1);
}

static void assert_same(struct db *db, const struct catalog_chart_args *args, bool with_types)
{
    scoped(catalog_overview_free) struct catalog_overview *overview = NULL;
    unsigned charts = 0;

    assert_ok(catalog_overview_load(db, &overview, &err));
    for (unsigned i = 0; i < catalog_chart_count; i++) {
        const struct catalog_chart *chart = &catalog_charts[i];

        if ((chart->flags & CHART_OVERVIEW) != 0) {
            scoped(free) char *wanted = by_statement(db, chart, args);
            scoped(free) char *found = by_copy(overview, chart, args);

            if (!with_types) {
                cut_types(wanted);
                cut_types(found);
            }
            assert_string_equal(found, wanted);
            charts++;
        }
    }
    assert_int_equal(charts, 9);
}

static void everything_is_drawn_as_the_statements_say(void **state)
{
    struct temp_catalog *temp = *state;
    static const struct catalog_filter placed = {
        .has_box = true, .lat0 = -90, .lon0 = -360, .lat1 = 90, .lon1 = 360};
    static const unsigned levels[] = {16, 74, 133, 160, 181, 219};

    fill(temp->db);
    assert_same(temp->db, &(struct catalog_chart_args){0}, false);
    assert_same(temp->db, &(struct catalog_chart_args){.filter = placed}, true);
    for (unsigned i = 0; i < ARRAY_LEN(levels); i++) {
        assert_same(temp->db, &(struct catalog_chart_args){.level = levels[i]}, false);
    }
}

static void a_filter_picks_what_the_statements_pick(void **state)
{
    struct temp_catalog *temp = *state;
    static const struct catalog_filter filters[] = {
        {.types = 1u << SEVIR_VIL},
        {.types = 1u << SEVIR_VIS | 1u << SEVIR_LGHT},
        {.types = 1u << SEVIR_LGHT},
        {.from = "2018-06-01 00:00:00"},
        {.to = "2018-06-30 00:00:00"},
        {.from = "2018-06-01 00:00:00", .to = "2018-06-01 00:00:00"},
        {.event_types = {"Hail"}, .event_type_count = 1},
        {.event_types = {"O'Hail", CATALOG_NO_EVENT_TYPE, "nothing"}, .event_type_count = 3},
        {.has_box = true, .lat0 = 0.25, .lon0 = -100.00004, .lat1 = 10, .lon1 = -90},
        {.has_box = true, .lat0 = -90, .lon0 = -360, .lat1 = 90, .lon1 = 360},
        {.has_box = true, .lat0 = 80, .lon0 = 0, .lat1 = 81, .lon1 = 1},
        {.id_prefix = "S7"},
        {.id_prefix = "s"},
        {.id_prefix = "\xc3\xa9"},
        {.types = 1u << SEVIR_VIL,
         .from = "2018-03-01 00:00:00",
         .event_types = {"Flood"},
         .event_type_count = 1,
         .has_box = true,
         .lat0 = -5,
         .lon0 = -110,
         .lat1 = 25,
         .lon1 = -70,
         .id_prefix = "R"},
    };

    fill(temp->db);
    for (unsigned i = 0; i < ARRAY_LEN(filters); i++) {
        assert_same(temp->db, &(struct catalog_chart_args){.filter = filters[i]}, false);
    }
}

static void any_part_of_an_order_is_drawn(void **state)
{
    struct temp_catalog *temp = *state;
    static const uint64_t limits[] = {1, 2, 7, 350, 699, 700, 701, 100000};
    static const uint64_t offsets[] = {0, 1, 50, 650, 699, 700, INT32_MAX};

    fill(temp->db);
    for (unsigned i = 0; i < ARRAY_LEN(limits); i++) {
        for (unsigned j = 0; j < ARRAY_LEN(offsets); j++) {
            assert_same(temp->db,
                        &(struct catalog_chart_args){.limit = limits[i], .offset = offsets[j]},
                        false);
        }
    }
}

static void nothing_is_drawn_of_nothing(void **state)
{
    struct temp_catalog *temp = *state;

    assert_same(temp->db, &(struct catalog_chart_args){0}, false);
}

static void too_many_events_are_not_copied(void **state)
{
    struct temp_catalog *temp = *state;
    struct catalog_overview *overview = NULL;

    fill(temp->db);
    assert_ok(
        db_exec(temp->db,
                "INSERT INTO event_facts WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT"
                " i + 1 FROM n WHERE i < 99300) SELECT 'X' || i, time_utc, month, event_type,"
                " storm, lat0, lon0, lat1, lon1, \"rows\", rows_vis, rows_ir069, rows_ir107,"
                " rows_vil, rows_lght, missing_vis, missing_ir069, missing_ir107, missing_vil,"
                " missing_lght, known_vis, known_ir069, known_ir107, known_vil, known_lght,"
                " frames_vis, frames_ir069, frames_ir107, frames_vil, bytes_vis, bytes_ir069,"
                " bytes_ir107, bytes_vil, images, flashes, a16, a74, a133, a160, a181, a219,"
                " peak_utc FROM n, (SELECT * FROM event_facts LIMIT 1)",
                &err));
    assert_int_equal(catalog_overview_load(temp->db, &overview, &err), RC_LIMIT);
    assert_null(overview);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, temp_catalog_open, temp_catalog_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(everything_is_drawn_as_the_statements_say),
        TEST(a_filter_picks_what_the_statements_pick),
        TEST(any_part_of_an_order_is_drawn),
        TEST(nothing_is_drawn_of_nothing),
        TEST(too_many_events_are_not_copied),
    };

    return cmocka_run_group_tests_name("catalog_overview", tests, NULL, NULL);
}
