/** @file
 * SEVIR's encodings, from its tutorial.
 */
#include "lib/sevir/encoding.h"

#include <math.h>

static const struct {
    struct plane_coding coding;
    const char *unit, *name;
} encodings[SEVIR_TYPE_COUNT] = {
    [SEVIR_VIS] = {.coding = {.scale = 1e-4},
                   .unit = "reflectance",
                   .name = "visible light, 0.64 \u00b5m"},
    [SEVIR_IR069] = {.coding = {.scale = 1e-2},
                     .unit = "\u00b0C",
                     .name = "brightness temperature, 6.9 \u00b5m (water vapour)"},
    [SEVIR_IR107] = {.coding = {.scale = 1e-2},
                     .unit = "\u00b0C",
                     .name = "brightness temperature, 10.7 \u00b5m (clean window)"},
    [SEVIR_VIL] = {.coding = {.scale = 1, .has_missing = true, .missing = 255, .areas = true},
                   .unit = "VIL code",
                   .name = "vertically integrated liquid"},
    [SEVIR_LGHT] = {.coding = {.scale = 1},
                    .unit = "flashes",
                    .name = "lightning flashes in 5 minutes in a cell of 8 x 8 km"},
};

const struct plane_coding *encoding_of(enum sevir_type type)
{
    return &encodings[type].coding;
}

const char *encoding_unit(enum sevir_type type)
{
    return encodings[type].unit;
}

const char *encoding_name(enum sevir_type type)
{
    return encodings[type].name;
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
