/** @file
 * Flashes on the grid.
 */
#include "tests/unit.h"

#include <math.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/sevir/lightning.h"

static uint32_t planes[LIGHTNING_FRAMES * LIGHTNING_CELLS];

/** Where the only flash was counted: frame * 10000 + y * 100 + x; -1 when nowhere. */
static int place(double t, double x, double y)
{
    int found = -1;

    memset(planes, 0, sizeof(planes));
    lightning_count(t, x, y, planes);
    for (unsigned i = 0; i < ARRAY_LEN(planes); i++) {
        if (planes[i] != 0) {
            assert_int_equal(found, -1);
            assert_int_equal(planes[i], 1);
            found = (int)(i / LIGHTNING_CELLS * 10000 + i % LIGHTNING_CELLS / LIGHTNING_SIDE * 100 +
                          i % LIGHTNING_SIDE);
        }
    }
    return found;
}

static void a_frame_holds_the_five_minutes_from_its_time_on(void **state)
{
    (void)state;
    assert_int_equal(place(-7200, 0, 0), 0);
    assert_int_equal(place(-6900.001, 0, 0), 0);
    assert_int_equal(place(-6900, 0, 0), 10000);
    assert_int_equal(place(0, 0, 0), 240000);
    assert_int_equal(place(7199.9, 0, 0), 470000);
    assert_int_equal(place(7200, 0, 0), 480000);
}

static void the_ends_take_what_is_before_and_after(void **state)
{
    (void)state;
    assert_int_equal(place(-1e9, 0, 0), 0);
    assert_int_equal(place(1e300, 0, 0), 480000);
    assert_int_equal(place(INFINITY, 0, 0), 480000);
}

static void cells_are_cut_from_x_and_y_and_what_is_outside_is_dropped(void **state)
{
    (void)state;
    assert_int_equal(place(-7200, 47.99, 3.5), 347);
    assert_int_equal(place(-7200, 48, 0), -1);
    assert_int_equal(place(-7200, 0, -0.01), -1);
    assert_int_equal(place(-7200, NAN, 0), -1);
    assert_int_equal(place(NAN, 0, 0), -1);
}

static void the_minutes_are_those_of_the_frames(void **state)
{
    (void)state;
    for (int i = 0; i < LIGHTNING_FRAMES; i++) {
        assert_int_equal(lightning_minutes[i], -120 + 5 * i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_frame_holds_the_five_minutes_from_its_time_on),
        cmocka_unit_test(the_ends_take_what_is_before_and_after),
        cmocka_unit_test(cells_are_cut_from_x_and_y_and_what_is_outside_is_dropped),
        cmocka_unit_test(the_minutes_are_those_of_the_frames),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
