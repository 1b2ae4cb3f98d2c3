/** @file
 * How SEVIR encodes each type: scale, missing code, units; VIL codes to kg/m2. Pure.
 *
 * Source: the SEVIR tutorial, as collected in docs/sevir.md.
 */
#pragma once

#include "lib/data/planes.h"
#include "lib/sevir/naming.h"

/** vis 1e-4 (reflectance), ir 1e-2 (deg C), vil codes with 255 missing and areas. */
const struct plane_coding *encoding_of(enum sevir_type type);
/** "reflectance", "\u00b0C", "VIL code", "flashes". */
const char *encoding_unit(enum sevir_type type);
/** What is seen, for people: "vertically integrated liquid". */
const char *encoding_name(enum sevir_type type);
/** kg/m2 of a VIL code 0..254; NaN for 255. */
double encoding_vil_kg_m2(unsigned code);
