#include "tests/unit/daemon/catalog/temp_catalog.h"

#include <math.h>

#include "daemon/catalog/catalog_events.h"
#include "daemon/catalog/catalog_facts.h"
#include "daemon/catalog/catalog_outputs.h"

static void add_event(struct temp_catalog *temp, int64_t load, uint64_t ordinal, const char *id,
                      enum sevir_type type, const char *event_type, double missing)
{
    const struct catalog_row row = {
        .id = id,
        .file_name = type == SEVIR_VIL ? "vil/v.h5" : "vis/s.h5",
        .file_index = (int64_t)ordinal,
        .img_type = type,
        .time_utc = 1557685800 + 60 * (int64_t)ordinal, /* 2019-05-12 18:30:00 */
        .event_type = event_type,
        .llcrnrlat = 30 + (double)ordinal,
        .llcrnrlon = -100,
        .urcrnrlat = 33,
        .urcrnrlon = -97 + (double)ordinal,
        .pct_missing = missing,
    };

    assert_ok(catalog_events_add(temp->db, load, ordinal, &row, &err));
}

/** S1 has vil and vis, R1 vil twice. */
static void add_catalog(struct temp_catalog *temp)
{
    int64_t load;

    assert_ok(catalog_events_begin(temp->db, temp->source, &load, &err));
    add_event(temp, load, 0, "S1", SEVIR_VIL, "Hail", 0.25);
    add_event(temp, load, 1, "S1", SEVIR_VIS, "Hail", NAN);
    add_event(temp, load, 2, "R1", SEVIR_VIL, "", 0.5);
    add_event(temp, load, 3, "R1", SEVIR_VIL, "", 0);
    assert_ok(catalog_events_settle(temp->db, load, &err));
}

static int64_t add_frames(struct temp_catalog *temp)
{
    static const char csv[] = "id,img_type,frame,time_utc,size_y,size_x,a133,a219,image\n"
                              "S1,vil,0,2019-05-12 16:30:00,10,20,0.1,0,a.png\n"
                              "S1,vil,1,2019-05-12 16:35:00,10,20,0.4,0.01,b.png\n"
                              "S1,vil,2,2019-05-12 16:40:00,10,20,0.4,0,\n"
                              "S1,vis,0,2019-05-12 16:30:00,10,10,,,\n";
    int64_t source;

    assert_ok(catalog_source(temp->db, "b", "vil/v.h5", &source, &err));
    assert_ok(catalog_rows_load(temp->db, source, "frames", csv, sizeof(csv) - 1, &err));
    assert_ok(catalog_facts_loaded(temp->db, source, &err));
    return source;
}

static void events_are_summed_up_with_the_catalog(void **state)
{
    struct temp_catalog *temp = *state;

    add_catalog(temp);
    assert_cells(
        temp->db,
        "SELECT id, time_utc, month, event_type, storm, \"rows\", rows_vil, rows_vis, rows_lght"
        " FROM event_summary ORDER BY id",
        "R1,2019-05-12 18:32:00,2019-05,NULL,0,2,2,0,0;"
        "S1,2019-05-12 18:30:00,2019-05,Hail,1,2,1,1,0");
    assert_cells(
        temp->db,
        "SELECT lat0, lon0, lat1, lon1, missing_vil, known_vil, known_vis, frames_vil, a133"
        " FROM event_summary WHERE id = 'S1'",
        "30.0,-100.0,33.0,-96.0,0.25,1,0,0,NULL");
}

static void frames_join_the_events_they_are_of(void **state)
{
    struct temp_catalog *temp = *state;

    add_catalog(temp);
    add_frames(temp);
    assert_cells(temp->db,
                 "SELECT frames_vil, frames_vis, frames_ir069, bytes_vil, bytes_vis, images, a133,"
                 " a219, peak_utc FROM event_summary WHERE id = 'S1'",
                 "3,1,0,600,200,2,0.4,0.01,2019-05-12 16:35:00");
    assert_cells(temp->db, "SELECT frames_vil, a133 FROM event_summary WHERE id = 'R1'", "0,NULL");
    assert_cells(temp->db, "SELECT count(*) FROM fact_changes", "0");
}

static void it_does_not_matter_which_comes_first(void **state)
{
    struct temp_catalog *temp = *state;

    add_frames(temp);
    assert_cells(temp->db, "SELECT count(*) FROM event_summary", "0");
    add_catalog(temp);
    assert_cells(temp->db, "SELECT frames_vil FROM event_summary ORDER BY id", "0;3");
}

static void what_is_loaded_again_counts_once(void **state)
{
    struct temp_catalog *temp = *state;
    int64_t source;

    add_catalog(temp);
    source = add_frames(temp);
    assert_ok(catalog_facts_loaded(temp->db, source, &err));
    assert_cells(temp->db, "SELECT frames_vil FROM event_summary WHERE id = 'S1'", "3");
}

static void what_goes_takes_its_sums_along(void **state)
{
    struct temp_catalog *temp = *state;
    int64_t source;

    add_catalog(temp);
    source = add_frames(temp);
    assert_ok(catalog_outputs_clear(temp->db, source, &err));
    assert_cells(temp->db, "SELECT frames_vil, a133, images FROM event_summary WHERE id = 'S1'",
                 "0,NULL,0");
    assert_cells(temp->db, "SELECT count(*) FROM frame_facts", "0");
    assert_ok(catalog_source_retire(temp->db, temp->source, &err));
    assert_cells(temp->db, "SELECT count(*) FROM event_summary", "0");
}

static void flashes_are_counted_by_event(void **state)
{
    static const char csv[] = "id,time_utc,t,lat,lon,x,y\n"
                              "S1,2019-05-12 18:30:01,1,30,-97,1,1\n"
                              "S1,2019-05-12 18:30:02,2,30,-97,1,1\n";
    struct temp_catalog *temp = *state;

    add_catalog(temp);
    assert_ok(catalog_rows_load(temp->db, temp->source, "flashes", csv, sizeof(csv) - 1, &err));
    assert_ok(catalog_facts_loaded(temp->db, temp->source, &err));
    assert_cells(temp->db, "SELECT flashes, frames_vil FROM event_summary WHERE id = 'S1'", "2,0");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, temp_catalog_open, temp_catalog_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(events_are_summed_up_with_the_catalog), TEST(frames_join_the_events_they_are_of),
        TEST(it_does_not_matter_which_comes_first),  TEST(what_is_loaded_again_counts_once),
        TEST(what_goes_takes_its_sums_along),        TEST(flashes_are_counted_by_event),
    };

    return cmocka_run_group_tests_name("catalog_facts", tests, NULL, NULL);
}
