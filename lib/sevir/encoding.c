/** @file
 * SEVIR's encodings, from its tutorial.
 */
#include "lib/sevir/encoding.h"

#include <math.h>

static const struct {
    struct plane_coding coding;
    const char *unit;
} encodings[SEVIR_TYPE_COUNT] = {
    [SEVIR_VIS] = {.coding = {.scale = 1e-4}, .unit = "reflectance"},
    [SEVIR_IR069] = {.coding = {.scale = 1e-2}, .unit = "\u00b0C"},
    [SEVIR_IR107] = {.coding = {.scale = 1e-2}, .unit = "\u00b0C"},
    [SEVIR_VIL] = {.coding = {.scale = 1, .has_missing = true, .missing = 255, .areas = true},
                   .unit = "VIL code"},
    [SEVIR_LGHT] = {.coding = {.scale = 1}, .unit = "flashes"},
};

const struct plane_coding *encoding_of(enum sevir_type type)
{
    return &encodings[type].coding;
}

const char *encoding_unit(enum sevir_type type)
{
    return encodings[type].unit;
}

double encoding_vil_kg_m2(unsigned code)
{
    if (code <= 5) {
        return 0;
    }
    if (code <= 18) {
        return (code - 2) / 90.66;
    }
    return code <= 254 ? exp((code - 83.9) / 38.9) : (double)NAN;
}
