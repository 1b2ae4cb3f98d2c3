/** @file
 * SEVIR's names and the keys of what we publish.
 */
#include "tests/unit.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/str.h"
#include "lib/sevir/naming.h"

static void expect(char *got, const char *expected)
{
    assert_string_equal(got, expected);
    free(got);
}

static void every_type_is_found_by_its_name_and_nothing_else_is(void **state)
{
    enum sevir_type type;

    (void)state;
    for (unsigned i = 0; i < SEVIR_TYPE_COUNT; i++) {
        assert_true(sevir_type_parse(sevir_type_name((enum sevir_type)i), &type));
        assert_int_equal(type, i);
    }
    assert_false(sevir_type_parse("VIL", &type));
    assert_false(sevir_type_parse("", &type));
    assert_false(sevir_type_parse("vil ", &type));
}

static void a_file_name_means_the_key_that_ends_with_it_after_a_slash(void **state)
{
    (void)state;
    assert_true(naming_file_matches("vil/2019/A.h5", "vil/2019/A.h5"));
    assert_true(naming_file_matches("data/vil/2019/A.h5", "vil/2019/A.h5"));
    assert_false(naming_file_matches("datavil/2019/A.h5", "vil/2019/A.h5"));
    assert_false(naming_file_matches("A.h5", "vil/2019/A.h5"));
    assert_false(naming_file_matches("data/vil/2019/A.h5", ""));
}

static void an_id_is_safe_in_a_key(void **state)
{
    (void)state;
    assert_true(naming_id_ok("S834603"));
    assert_true(naming_id_ok("R18032505027684"));
    assert_true(naming_id_ok("a-b_c.1"));
    assert_false(naming_id_ok(""));
    assert_false(naming_id_ok(".."));
    assert_false(naming_id_ok("a/b"));
    assert_false(naming_id_ok("a b"));
    assert_false(naming_id_ok("\xc3\xa4"));
    assert_false(naming_id_ok("0123456789012345678901234567890123456789012345678901234567890123x"));
}

static void an_id_tells_storm_from_random_and_a_random_one_its_time(void **state)
{
    int64_t time = 7;

    (void)state;
    assert_true(naming_id_is_storm("S858968"));
    assert_false(naming_id_is_random("S858968"));
    assert_false(naming_id_time("S858968", &time));
    assert_false(naming_id_is_storm("S85x"));
    assert_false(naming_id_is_storm("S"));
    assert_true(naming_id_is_random("R19061023267550"));
    assert_false(naming_id_is_random("R1906102326755"));
    assert_false(naming_id_time("R19061332267550", &time));
    assert_int_equal(time, 7);
    assert_true(naming_id_time("R19061023267550", &time));
    assert_int_equal(time, 1560209160); /* 2019-06-10 23:26 */
}

static void keys_are_those_of_the_design(void **state)
{
    static const char *const h5 = "data/vil/2019/SEVIR_VIL_STORMEVENTS_2019_0101_0630.h5";
    char name[16];

    (void)state;
    expect(naming_frames_key(SEVIR_VIL, 2019, 1, h5),
           "frames/img_type=vil/year=2019/month=01/SEVIR_VIL_STORMEVENTS_2019_0101_0630.csv");
    expect(naming_flashes_key(2019, 6, "lght/2019/X.h5"), "flashes/year=2019/month=06/X.csv");
    expect(naming_catalog_key(2019, 12, "CATALOG.csv.gz"),
           "catalog/year=2019/month=12/CATALOG.csv");
    expect(naming_manifest_key(h5),
           "_manifests/data/vil/2019/SEVIR_VIL_STORMEVENTS_2019_0101_0630.h5.json");
    expect(naming_image_prefix(SEVIR_VIL, "S797364", 7, 0), "images/img_type=vil/id=S797364/");
    expect(naming_image_prefix(SEVIR_IR069, "S797364", 1175, 1),
           "images/img_type=ir069/id=S797364.1175/");
    expect(naming_image_prefix(SEVIR_IR069, "S797364", 1175, 2),
           "images/img_type=ir069/id=S797364.1175.2/");
    naming_frame_file(7, name);
    assert_string_equal(name, "f07.png");
    naming_frame_file(100, name);
    assert_string_equal(name, "f100.png");
}

static void the_key_of_a_table_keeps_the_folders_that_keep_sources_apart(void **state)
{
    (void)state;
    expect(naming_table_key("stations", "region=east/stations.csv"),
           "tables/stations/region=east/stations.csv");
    expect(naming_table_key("stations", "stations.csv.gz"), "tables/stations/stations.csv");
    expect(naming_table_key("stations", "stations.tsv"), "tables/stations/stations.tsv.csv");
}

static void a_long_name_is_cut_and_stays_unlike_its_neighbours(void **state)
{
    struct strbuf a = {0}, b = {0};

    (void)state;
    for (unsigned i = 0; i < 120; i++) {
        strbuf_puts(&a, "\xc3\xa4");
        strbuf_puts(&b, "\xc3\xa4");
    }
    strbuf_puts(&a, "1.h5");
    strbuf_puts(&b, "2.h5");
    scoped(free) char *one = naming_frames_key(SEVIR_VIL, 2019, 1, a.data);
    scoped(free) char *two = naming_frames_key(SEVIR_VIL, 2019, 1, b.data);
    scoped(free) char *manifest = naming_manifest_key(a.data);
    assert_string_not_equal(one, two);
    assert_true(strlen(str_basename(one)) <= 240);
    assert_true(str_is_utf8(one, strlen(one)));
    assert_int_equal(strlen(manifest), strlen("_manifests/.json") + 64);
    strbuf_done(&a);
    strbuf_done(&b);
}

static void files_of_a_series_share_a_table(void **state)
{
    (void)state;
    expect(naming_table("CATALOG.csv"), "catalog");
    expect(naming_table("storm/StormEvents_details-ftp_v1.0_d2019_c20210223.csv.gz"),
           "stormevents_details_ftp");
    expect(naming_table("storm/StormEvents_details-ftp_v1.0_d2018_c20250401.csv.gz"),
           "stormevents_details_ftp");
    expect(naming_table("data/vil/2019/SEVIR_VIL_STORMEVENTS_2019_0101_0630.h5"),
           "sevir_vil_stormevents");
    expect(naming_table("sales/2019.csv"), "sales");
    expect(naming_table("sales/month=01/2019-01.csv"), "sales");
}

static void a_table_always_has_a_plain_name(void **state)
{
    (void)state;
    expect(naming_table("2019.csv"), "t_2019");
    expect(naming_table("\xc3\xa4.csv"), "t_");
    expect(naming_table("frames.csv"), "t_frames");
    expect(naming_table("sqlite_master.csv"), "t_sqlite_master");
    expect(naming_table("My File (1).CSV"), "my_file");
    expect(naming_table("a--b__c.csv"), "a_b_c");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_is_found_by_its_name_and_nothing_else_is),
        cmocka_unit_test(a_file_name_means_the_key_that_ends_with_it_after_a_slash),
        cmocka_unit_test(an_id_is_safe_in_a_key),
        cmocka_unit_test(an_id_tells_storm_from_random_and_a_random_one_its_time),
        cmocka_unit_test(keys_are_those_of_the_design),
        cmocka_unit_test(the_key_of_a_table_keeps_the_folders_that_keep_sources_apart),
        cmocka_unit_test(a_long_name_is_cut_and_stays_unlike_its_neighbours),
        cmocka_unit_test(files_of_a_series_share_a_table),
        cmocka_unit_test(a_table_always_has_a_plain_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
