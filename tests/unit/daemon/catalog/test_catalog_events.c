#include "tests/unit/daemon/catalog/temp_catalog.h"

#include <math.h>

#include "daemon/catalog/catalog_events.h"
#include "lib/base/now.h"

static const int16_t offsets[] = {-120, 0, 120};

/** An event as a catalog has it; what the tests do not care about is filled in. */
static struct catalog_row event(const char *id, const char *file, int64_t index)
{
    return (struct catalog_row){
        .id = id,
        .file_name = file,
        .file_index = index,
        .img_type = SEVIR_VIL,
        .time_utc = 1557685800, /* 2019-05-12 18:30:00 */
        .frame_count = 3,
        .minute_offsets = offsets,
        .episode_id = "138793",
        .event_id = "834603",
        .event_type = "Flood",
        .llcrnrlat = 29.86291091102648,
        .proj = "+proj=laea",
        .size_x = 384,
        .size_y = 384,
        .data_max = NAN,
    };
}

static int64_t load(struct db *db, int64_t source, const struct catalog_row *rows, unsigned count)
{
    int64_t id;

    assert_ok(catalog_events_begin(db, source, &id, &err));
    for (unsigned i = 0; i < count; i++) {
        assert_ok(catalog_events_add(db, id, i, &rows[i], &err));
    }
    return id;
}

static void load_and_settle(struct db *db, int64_t source, const struct catalog_row *rows,
                            unsigned count)
{
    int64_t id = load(db, source, rows, count);

    assert_ok(catalog_events_settle(db, id, &err));
}

static void rows_are_seen_when_their_load_is_settled_not_before(void **state)
{
    struct temp_catalog *temp = *state;
    const struct catalog_row row = event("S1", "vil/a.h5", 0);
    int64_t id = load(temp->db, temp->source, &row, 1);

    assert_cells(temp->db, "SELECT count(*) FROM events", "0");
    assert_ok(catalog_events_settle(temp->db, id, &err));
    assert_cells(temp->db,
                 "SELECT id, file_name, file_index, img_type, time_utc, minute_offsets, event_id,"
                 " event_type, data_max, year, month, storm FROM events",
                 "S1,vil/a.h5,0,vil,2019-05-12 18:30:00,-120:0:120,834603,Flood,NULL,2019,5,1");
}

static void a_new_load_takes_the_place_of_the_old_one_at_once(void **state)
{
    struct temp_catalog *temp = *state;
    const struct catalog_row was[] = {event("S1", "a.h5", 0), event("S2", "a.h5", 1)};
    const struct catalog_row is = event("S3", "a.h5", 0);
    int64_t id;

    load_and_settle(temp->db, temp->source, was, 2);
    id = load(temp->db, temp->source, &is, 1);
    assert_cells(temp->db, "SELECT id FROM events ORDER BY id", "S1;S2");
    assert_ok(catalog_events_settle(temp->db, id, &err));
    assert_cells(temp->db, "SELECT id FROM events", "S3");
    assert_cells(temp->db, "SELECT count(*) FROM event_rows", "1");
}

static void a_load_that_was_cut_short_leaves_nothing(void **state)
{
    struct temp_catalog *temp = *state;
    const struct catalog_row row = event("S1", "a.h5", 0);
    int64_t id;

    load_and_settle(temp->db, temp->source, &row, 1);
    load(temp->db, temp->source, &row, 1); /* then a crash */
    id = load(temp->db, temp->source, &row, 1);
    assert_cells(temp->db, "SELECT count(*) FROM event_rows", "2");
    assert_ok(catalog_events_abandon(temp->db, id, &err));
    assert_cells(temp->db, "SELECT count(*) FROM event_rows", "1");
    assert_cells(temp->db, "SELECT id FROM events", "S1");
}

static void of_two_catalogs_with_one_row_the_newest_shows_and_the_older_comes_back(void **state)
{
    struct temp_catalog *temp = *state;
    struct catalog_row both = event("S1", "a.h5", 0);
    const struct catalog_row own = event("S2", "a.h5", 1);
    int64_t subset;

    assert_ok(catalog_source(temp->db, "b", "subset.csv", &subset, &err));
    load_and_settle(temp->db, temp->source, (struct catalog_row[]){both, own}, 2);
    both.event_type = "Hail";
    load_and_settle(temp->db, subset, &both, 1);
    assert_cells(temp->db, "SELECT id, event_type FROM events ORDER BY id", "S1,Hail;S2,Flood");
    bool any;

    assert_ok(catalog_events_clear(temp->db, subset, &any, &err));
    assert_true(any);
    assert_ok(catalog_events_clear(temp->db, subset, &any, &err));
    assert_false(any);
    assert_cells(temp->db, "SELECT id, event_type FROM events ORDER BY id", "S1,Flood;S2,Flood");
}

static size_t count_of_file(struct db *db, const char *key)
{
    scoped(arena_free) struct arena *arena = arena_new();
    struct catalog_row *rows;
    size_t count;

    assert_ok(catalog_events_of_file(db, key, arena, &rows, &count, &err));
    return count;
}

static void a_file_finds_its_rows_by_the_end_of_its_key(void **state)
{
    struct temp_catalog *temp = *state;
    const struct catalog_row rows[] = {event("S1", "vil/2019/a.h5", 0),
                                       event("S2", "vil/2019/b.h5", 0)};

    load_and_settle(temp->db, temp->source, rows, 2);
    assert_int_equal(count_of_file(temp->db, "vil/2019/a.h5"), 1);
    assert_int_equal(count_of_file(temp->db, "data/vil/2019/a.h5"), 1);
    assert_int_equal(count_of_file(temp->db, "xvil/2019/c.h5"), 0);
}

static void a_file_elsewhere_finds_its_rows_by_its_name_if_that_is_unambiguous(void **state)
{
    struct temp_catalog *temp = *state;
    const struct catalog_row rows[] = {event("S1", "vil/2019/a.h5", 0),
                                       event("S2", "vil/2018/b.h5", 0),
                                       event("S3", "vil/2019/b.h5", 0)};

    load_and_settle(temp->db, temp->source, rows, 3);
    assert_int_equal(count_of_file(temp->db, "flat/a.h5"), 1);
    assert_int_equal(count_of_file(temp->db, "a.h5"), 1);
    assert_int_equal(count_of_file(temp->db, "flat/b.h5"), 0);
}

static void rows_come_back_as_they_went_in_by_file_index(void **state)
{
    struct temp_catalog *temp = *state;
    const struct catalog_row rows[] = {event("S9", "a.h5", 5), event("S1", "a.h5", 2)};
    scoped(arena_free) struct arena *arena = arena_new();
    struct catalog_row *back;
    size_t count;

    load_and_settle(temp->db, temp->source, rows, 2);
    assert_ok(catalog_events_of_file(temp->db, "a.h5", arena, &back, &count, &err));
    assert_int_equal(count, 2);
    assert_string_equal(back[0].id, "S1");
    assert_string_equal(back[1].id, "S9");
    assert_int_equal(back[0].time_utc, rows[1].time_utc);
    assert_int_equal(back[0].frame_count, 3);
    assert_memory_equal(back[0].minute_offsets, offsets, sizeof(offsets));
    assert_true(back[0].llcrnrlat == rows[1].llcrnrlat);
    assert_true(isnan(back[0].data_max));
    assert_string_equal(back[0].event_id, "834603");
}

static void the_digest_changes_with_a_row_and_not_with_its_catalog(void **state)
{
    struct temp_catalog *temp = *state;
    struct catalog_row row = event("S1", "a.h5", 0);
    char none[65], one[65], again[65], other[65];
    int64_t copy;

    assert_ok(catalog_events_digest(temp->db, "a.h5", none, &err));
    assert_string_equal(none, "");
    load_and_settle(temp->db, temp->source, &row, 1);
    assert_ok(catalog_events_digest(temp->db, "a.h5", one, &err));
    assert_int_equal(strlen(one), 64);
    assert_ok(catalog_source(temp->db, "b", "copy.csv", &copy, &err));
    load_and_settle(temp->db, copy, &row, 1);
    assert_ok(catalog_events_digest(temp->db, "a.h5", again, &err));
    assert_string_equal(one, again);
    row.event_type = "Hail";
    load_and_settle(temp->db, copy, &row, 1);
    assert_ok(catalog_events_digest(temp->db, "a.h5", other, &err));
    assert_string_not_equal(one, other);
}

static void assert_repeats(struct temp_catalog *temp, const char *file, const unsigned *expected,
                           size_t expected_count)
{
    scoped(arena_free) struct arena *arena = arena_new();
    struct catalog_row *back;
    unsigned repeats[3];
    size_t count;

    assert_ok(catalog_events_of_file(temp->db, file, arena, &back, &count, &err));
    assert_int_equal(count, expected_count);
    assert_ok(catalog_events_repeats(temp->db, back, count, repeats, &err));
    assert_memory_equal(repeats, expected, count * sizeof(*expected));
}

static void the_later_of_two_rows_with_one_id_and_type_is_repeated(void **state)
{
    struct temp_catalog *temp = *state;
    const struct catalog_row rows[] = {event("S1", "a.h5", 0), event("S2", "a.h5", 1),
                                       event("S1", "a.h5", 2)};

    load_and_settle(temp->db, temp->source, rows, 3);
    assert_repeats(temp, "a.h5", (const unsigned[]){0, 0, 1}, 3);
}

static void no_two_rows_of_one_id_and_type_are_numbered_the_same(void **state)
{
    struct temp_catalog *temp = *state;
    const struct catalog_row rows[] = {event("S1", "a.h5", 0), event("S1", "b.h5", 0),
                                       event("S1", "c.h5", 0), event("S1", "c.h5", 1)};

    load_and_settle(temp->db, temp->source, rows, 4);
    assert_repeats(temp, "a.h5", (const unsigned[]){0}, 1);
    assert_repeats(temp, "b.h5", (const unsigned[]){1}, 1);
    assert_repeats(temp, "c.h5", (const unsigned[]){2, 1}, 2);
}

/** Measured: how long 76,004 rows take, in and out. */
static void the_whole_catalog_loads_within_seconds(void **state)
{
    struct temp_catalog *temp = *state;
    int64_t id, begin = now_mono_ms();
    char file[32], name[32];

    assert_ok(catalog_events_begin(temp->db, temp->source, &id, &err));
    assert_ok(db_exec(temp->db, "BEGIN", &err));
    for (unsigned i = 0; i < 76004; i++) {
        struct catalog_row row = event(name, file, i % 600);

        snprintf(name, sizeof(name), "S%u", i / 5);
        snprintf(file, sizeof(file), "vil/%u.h5", i / 600);
        assert_ok(catalog_events_add(temp->db, id, i, &row, &err));
    }
    assert_ok(catalog_events_settle(temp->db, id, &err));
    assert_ok(db_exec(temp->db, "COMMIT", &err));
    print_message("           76,004 rows in %lld ms\n", (long long)(now_mono_ms() - begin));
    begin = now_mono_ms();
    assert_int_equal(count_of_file(temp->db, "data/vil/7.h5"), 600);
    print_message("           600 rows of a file in %lld ms\n", (long long)(now_mono_ms() - begin));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, temp_catalog_open, temp_catalog_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(rows_are_seen_when_their_load_is_settled_not_before),
        TEST(a_new_load_takes_the_place_of_the_old_one_at_once),
        TEST(a_load_that_was_cut_short_leaves_nothing),
        TEST(of_two_catalogs_with_one_row_the_newest_shows_and_the_older_comes_back),
        TEST(a_file_finds_its_rows_by_the_end_of_its_key),
        TEST(a_file_elsewhere_finds_its_rows_by_its_name_if_that_is_unambiguous),
        TEST(rows_come_back_as_they_went_in_by_file_index),
        TEST(the_digest_changes_with_a_row_and_not_with_its_catalog),
        TEST(the_later_of_two_rows_with_one_id_and_type_is_repeated),
        TEST(no_two_rows_of_one_id_and_type_are_numbered_the_same),
        TEST(the_whole_catalog_loads_within_seconds),
    };
    return cmocka_run_group_tests_name("catalog_events", tests, NULL, NULL);
}
