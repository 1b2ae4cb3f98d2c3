/** @file
 * SEVIR's projection: Lambert azimuthal equal area on a sphere, lat_0 = 38, lon_0 = -98. Pure.
 */
#pragma once

#include "lib/sevir/catalog_row.h"

/** Metres from the projection's origin. */
void projection_forward(double lat, double lon, double *ret_x_m, double *ret_y_m);
void projection_inverse(double x_m, double y_m, double *ret_lat, double *ret_lon);
/** Pixel coordinates in the event's grid: 0 is the outer edge of the south-west corner pixel. */
void projection_pixel(const struct catalog_row *row, double lat, double lon, double *ret_x,
                      double *ret_y);
