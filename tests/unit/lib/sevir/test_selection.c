/** @file
 * Selections, one condition at a time and all together.
 */
#include "tests/unit.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/sevir/selection.h"

static const struct catalog_row flood = {.id = "S834603",
                                         .file_name = "vil/2019/A.h5",
                                         .img_type = SEVIR_VIL,
                                         .time_utc = 1557685800, /* 2019-05-12 18:30:00 */
                                         .event_type = "Flood",
                                         .llcrnrlat = 30,
                                         .llcrnrlon = -101,
                                         .urcrnrlat = 33,
                                         .urcrnrlon = -97};

/** "year=2019 month=5": whether the row of the flood matches. */
static bool matches(const char *conditions)
{
    struct selection selection = {0};
    struct err err;
    scoped(free) char *copy = str_dup(conditions);
    bool result;

    for (char *at = copy; at != NULL && *at != '\0';) {
        char *name = at, *next = strchr(at, '&');
        if (next != NULL) {
            *next++ = '\0';
        }
        at = next;
        char *value = strchr(name, '=');
        *value++ = '\0';
        assert_int_equal(selection_set(&selection, name, value, &err), RC_OK);
    }
    result = selection_matches(&selection, &flood);
    selection_done(&selection);
    return result;
}

static void nothing_asked_for_is_everything(void **state)
{
    (void)state;
    assert_true(matches(""));
}

static void each_condition_counts_and_repeated_ones_widen(void **state)
{
    (void)state;
    assert_true(matches("year=2019"));
    assert_false(matches("year=2018"));
    assert_true(matches("year=2018&year=2019"));
    assert_true(matches("month=5"));
    assert_false(matches("month=4&month=6"));
    assert_true(matches("type=vil"));
    assert_true(matches("type=vis&type=vil"));
    assert_false(matches("type=vis"));
    assert_true(matches("events=storm"));
    assert_false(matches("events=random"));
    assert_true(matches("events=all"));
    assert_true(matches("event-type=flood"));
    assert_false(matches("event-type=Flash Flood"));
    assert_true(matches("id=X1&id=S834603"));
    assert_false(matches("id=S83460"));
    assert_false(matches("year=2019&month=5&type=vil&events=random"));
}

static void a_box_takes_what_it_touches_whatever_corners_name_it(void **state)
{
    (void)state;
    assert_true(matches("bbox=31,-100,32,-99"));
    assert_true(matches("bbox=32,-99,31,-100"));
    assert_true(matches("bbox=33,-97,50,-80"));
    assert_false(matches("bbox=33.1,-97,50,-80"));
    assert_false(matches("bbox=30,-96.9,33,-80"));
    assert_true(matches("bbox=-90,-180,90,180"));
}

static void a_value_that_makes_no_sense_is_refused_by_name(void **state)
{
    static const char *const wrong[][3] = {
        {"year", "19x", "year '19x' is not a year like 2019"},
        {"month", "13", "month '13' is not within 1 and 12"},
        {"type", "VIL", "type 'VIL' is none of vis, ir069, ir107, vil, lght"},
        {"events", "storms", "events 'storms' is none of storm, random, all"},
        {"id", "a/b", "id 'a/b' is not an event id like S834603"},
        {"event-type", "", "event-type '' is not a type of event like 'Flash Flood'"},
        {"bbox", "1,2,3", "bbox '1,2,3' is not LAT0,LON0,LAT1,LON1 in degrees, as 30,-100,40,-90"},
        {"bbox", "1,2,3,4,5",
         "bbox '1,2,3,4,5' is not LAT0,LON0,LAT1,LON1 in degrees, as 30,-100,40,-90"},
        {"bbox", "91,2,3,4",
         "bbox '91,2,3,4' is not LAT0,LON0,LAT1,LON1 in degrees, as 30,-100,40,-90"},
        {"limit", "-1", "limit '-1' is not a whole number (0: no limit)"},
        {"colour", "red", "'colour' (value 'red') is no part of a selection"},
    };
    struct selection selection = {0};
    struct err err;

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(wrong); i++) {
        assert_int_equal(selection_set(&selection, wrong[i][0], wrong[i][1], &err), RC_INVALID);
        assert_string_equal(err.text, wrong[i][2]);
    }
    selection_done(&selection);
}

static char *json(const char *const *pairs)
{
    struct selection selection = {0};
    struct strbuf out = {0};
    struct err err;

    for (; *pairs != NULL; pairs += 2) {
        assert_int_equal(selection_set(&selection, pairs[0], pairs[1], &err), RC_OK);
    }
    selection_json(&selection, &out);
    selection_done(&selection);
    return strbuf_take(&out);
}

static void equal_selections_have_equal_json(void **state)
{
    static const char *const a[] = {"year",  "2019", "year",       "2018",  "id",   "b",
                                    "id",    "a",    "event-type", "Hail",  "type", "vil",
                                    "type",  "vis",  "month",      "12",    "bbox", "3,4,1,2",
                                    "limit", "5",    "events",     "storm", NULL};
    static const char *const b[] = {
        "bbox", "1,2,3,4.0", "year",  "2018",       "year",  "2019",       "year",   "2018",  "id",
        "a",    "id",        "b",     "event-type", "HAIL",  "event-type", "hail",   "type",  "vis",
        "type", "vil",       "month", "12",         "limit", "5",          "events", "storm", NULL};
    static const char *const none[] = {NULL};
    scoped(free) char *x = json(a), *y = json(b), *z = json(none);

    (void)state;
    assert_string_equal(x, y);
    assert_string_equal(x, "{\"years\":[2018,2019],\"months\":[12],\"types\":[\"vis\",\"vil\"],"
                           "\"events\":\"storm\",\"event_types\":[\"hail\"],\"ids\":[\"a\",\"b\"],"
                           "\"bbox\":[1,2,3,4],\"limit\":5}");
    assert_string_equal(z, "{\"years\":[],\"months\":[],\"types\":[],\"events\":\"all\","
                           "\"event_types\":[],\"ids\":[],\"bbox\":null,\"limit\":0}");
}

static void a_type_is_wanted_when_none_or_it_was_named(void **state)
{
    struct selection selection = {0};

    (void)state;
    assert_true(selection_wants_type(&selection, SEVIR_LGHT));
    selection.types = 1u << SEVIR_VIL;
    assert_true(selection_wants_type(&selection, SEVIR_VIL));
    assert_false(selection_wants_type(&selection, SEVIR_LGHT));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_asked_for_is_everything),
        cmocka_unit_test(each_condition_counts_and_repeated_ones_widen),
        cmocka_unit_test(a_box_takes_what_it_touches_whatever_corners_name_it),
        cmocka_unit_test(a_value_that_makes_no_sense_is_refused_by_name),
        cmocka_unit_test(equal_selections_have_equal_json),
        cmocka_unit_test(a_type_is_wanted_when_none_or_it_was_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
