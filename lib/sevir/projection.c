/** @file
 * Lambert azimuthal equal area on a sphere (Snyder 1987, 24-2 to 24-14).
 */
#include "lib/sevir/projection.h"

#include <math.h>

#define RADIUS_M 6370997.0
#define RADIANS (M_PI / 180.0)
#define LAT_0 (38.0 * RADIANS)
#define LON_0 (-98.0 * RADIANS)

void projection_forward(double lat, double lon, double *ret_x_m, double *ret_y_m)
{
    double phi = lat * RADIANS, lambda = lon * RADIANS - LON_0;
    double toward =
        1 + sin(LAT_0) * sin(phi) + cos(LAT_0) * cos(phi) * cos(lambda); /* 0 at the antipode */
    double k = RADIUS_M * sqrt(2 / toward);

    *ret_x_m = k * cos(phi) * sin(lambda);
    *ret_y_m = k * (cos(LAT_0) * sin(phi) - sin(LAT_0) * cos(phi) * cos(lambda));
}

void projection_inverse(double x_m, double y_m, double *ret_lat, double *ret_lon)
{
    double rho = hypot(x_m, y_m);

    if (rho == 0) {
        *ret_lat = LAT_0 / RADIANS;
        *ret_lon = LON_0 / RADIANS;
        return;
    }
    double c = 2 * asin(fmin(rho / (2 * RADIUS_M), 1));

    *ret_lat = asin(cos(c) * sin(LAT_0) + y_m * sin(c) * cos(LAT_0) / rho) / RADIANS;
    *ret_lon =
        (LON_0 + atan2(x_m * sin(c), rho * cos(LAT_0) * cos(c) - y_m * sin(LAT_0) * sin(c))) /
        RADIANS;
}

void projection_pixel(const struct catalog_row *row, double lat, double lon, double *ret_x,
                      double *ret_y)
{
    double x, y, corner_x, corner_y;

    projection_forward(lat, lon, &x, &y);
    projection_forward(row->llcrnrlat, row->llcrnrlon, &corner_x, &corner_y);
    *ret_x = (x - corner_x) / (row->width_m / (double)row->size_x);
    *ret_y = (y - corner_y) / (row->height_m / (double)row->size_y);
}
