/** @file
 * From flashes to counts.
 */
#include "lib/sevir/lightning.h"

#include <math.h>

#define FRAME_S 300.0
#define FIRST_S (-7200.0)

const int16_t lightning_minutes[LIGHTNING_FRAMES] = {
    -120, -115, -110, -105, -100, -95, -90, -85, -80, -75, -70, -65, -60, -55, -50, -45, -40,
    -35,  -30,  -25,  -20,  -15,  -10, -5,  0,   5,   10,  15,  20,  25,  30,  35,  40,  45,
    50,   55,   60,   65,   70,   75,  80,  85,  90,  95,  100, 105, 110, 115, 120};

void lightning_count(double t, double x, double y, uint32_t *planes)
{
    double frame = floor((t - FIRST_S) / FRAME_S);

    if (isnan(t) || !(x >= 0 && x < LIGHTNING_SIDE) || !(y >= 0 && y < LIGHTNING_SIDE)) {
        return;
    }
    frame = fmin(fmax(frame, 0), LIGHTNING_FRAMES - 1);
    uint32_t *cell =
        &planes[(unsigned)frame * LIGHTNING_CELLS + (unsigned)y * LIGHTNING_SIDE + (unsigned)x];
    *cell += *cell < UINT32_MAX;
}
