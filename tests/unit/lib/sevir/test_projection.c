/** @file
 * The projection against a real event's corners, which are whole kilometres.
 */
#include "tests/unit.h"

#include <math.h>

#include "lib/sevir/projection.h"

/** S858968, vil. */
static const struct catalog_row event = {.llcrnrlat = 46.16780482213778,
                                         .llcrnrlon = -94.76080555833984,
                                         .urcrnrlat = 49.388668178827686,
                                         .urcrnrlon = -89.26312111773504,
                                         .size_x = 384,
                                         .size_y = 384,
                                         .height_m = 384000,
                                         .width_m = 384000};

static void near(double got, double expected, double tolerance)
{
    if (!(fabs(got - expected) <= tolerance)) {
        fail_msg("%.9f is not %.9f", got, expected);
    }
}

static void corners_are_whole_kilometres_and_384_of_them_apart(void **state)
{
    double x, y;

    (void)state;
    projection_forward(event.llcrnrlat, event.llcrnrlon, &x, &y);
    near(x, 250000, 1e-6);
    near(y, 912000, 1e-6);
    projection_forward(event.urcrnrlat, event.urcrnrlon, &x, &y);
    near(x, 634000, 1e-6);
    near(y, 1296000, 1e-6);
}

static void a_place_has_its_pixel(void **state)
{
    double x, y;

    (void)state;
    projection_pixel(&event, 46.7867, -92.1005, &x, &y);
    near(x, 200.021527, 1e-6);
    near(y, 79.057562, 1e-6);
    projection_pixel(&event, event.llcrnrlat, event.llcrnrlon, &x, &y);
    near(x, 0, 1e-9);
    near(y, 0, 1e-9);
}

static void the_inverse_leads_back(void **state)
{
    double x, y, lat, lon;

    (void)state;
    for (double a = 22; a < 52; a += 2.5) {
        for (double b = -128; b < -65; b += 3.5) {
            projection_forward(a, b, &x, &y);
            projection_inverse(x, y, &lat, &lon);
            near(lat, a, 1e-9);
            near(lon, b, 1e-9);
        }
    }
    projection_inverse(0, 0, &lat, &lon);
    near(lat, 38, 1e-12);
    near(lon, -98, 1e-12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(corners_are_whole_kilometres_and_384_of_them_apart),
        cmocka_unit_test(a_place_has_its_pixel),
        cmocka_unit_test(the_inverse_leads_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
