/** @file
 * From code to palette index: level maps for vil and vis, linear maps for the rest.
 *
 * Each table is brought once into one form: a palette in which no colour stands twice, and for each
 * class of codes its index in there. 8 and 16 bit integers are then looked up in a table of all
 * their values.
 */
#include "lib/sevir/colors.h"

#include <math.h>
#include <pthread.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/sevir/colors_p.h"

#define VIL_MISSING 255
#define CLASSES_MAX 256

/** A colour map as SEVIR defines it. */
struct definition {
    const double *levels; /**< `count + 1` of them; NULL for a linear map from low to high. */
    double low, high;
    const uint32_t *colors;
    unsigned count;
    uint32_t under, over;
};

static const struct definition definitions[SEVIR_TYPE_COUNT] = {
    [SEVIR_VIS] = {.levels = colors_vis_levels,
                   .colors = colors_vis,
                   .count = COLORS_VIS,
                   .under = 0x000000,
                   .over = 0xfafafa},
    [SEVIR_IR069] = {.low = -8000,
                     .high = -1000,
                     .colors = colors_ir069,
                     .count = COLORS_IR069,
                     .under = 0xff0000,
                     .over = 0xffffff},
    [SEVIR_IR107] = {.low = -7000,
                     .high = 2000,
                     .colors = colors_ir107,
                     .count = COLORS_IR107,
                     .under = 0x000080,
                     .over = 0x800000},
    [SEVIR_VIL] = {.levels = colors_vil_levels,
                   .colors = colors_vil,
                   .count = COLORS_VIL,
                   .under = 0x4d4d4d,
                   .over = 0xe700ff},
    [SEVIR_LGHT] = {.low = 0,
                    .high = 5,
                    .colors = colors_lght,
                    .count = COLORS_LGHT,
                    .under = 0x0b0000,
                    .over = 0xffffff},
};

/** What a definition was brought into. Written once, under `made_once`; then constant. */
static struct made {
    struct pngfile_rgb palette[256];
    struct colors colors;
    uint8_t class_index[CLASSES_MAX], under, over, bad;
    uint8_t of_u8[256];
    uint8_t of_i16[65536]; /**< By the code's bits as unsigned. */
} made[SEVIR_TYPE_COUNT];
static pthread_once_t made_once = PTHREAD_ONCE_INIT;

static unsigned distance(const struct pngfile_rgb *a, uint32_t color)
{
    int r = a->r - (int)(color >> 16 & 0xff), g = a->g - (int)(color >> 8 & 0xff),
        b = a->b - (int)(color & 0xff);

    return (unsigned)(r * r + g * g + b * b);
}

/** The colour's index, which it gets if it is new and one is free; the nearest colour's otherwise.
 * `room` is how many entries this colour may count on. */
static uint8_t intern(struct made *map, uint32_t color, unsigned room)
{
    unsigned best = 0, best_distance = UINT32_MAX;

    for (unsigned i = 0; i < map->colors.count; i++) {
        unsigned d = distance(&map->palette[i], color);
        if (d < best_distance) {
            best = i;
            best_distance = d;
        }
    }
    if (best_distance > 0 && map->colors.count < room) {
        best = map->colors.count++;
        map->palette[best] = (struct pngfile_rgb){
            .r = (uint8_t)(color >> 16), .g = (uint8_t)(color >> 8), .b = (uint8_t)color};
    }
    return (uint8_t)best;
}

/** Classes of a level map are its intervals, of a linear map its equal steps. */
static uint8_t classify(const struct definition *definition, const struct made *map, bool vil,
                        double code)
{
    if (isnan(code) || (vil && code == VIL_MISSING)) {
        return map->bad;
    }
    if (definition->levels != NULL) {
        unsigned below = 0, above = definition->count; /* levels[below] <= code < levels[above] */
        if (code < definition->levels[0]) {
            return map->under;
        }
        if (code >= definition->levels[above]) {
            return map->over;
        }
        while (above - below > 1) {
            unsigned middle = (below + above) / 2;
            if (code >= definition->levels[middle]) {
                below = middle;
            } else {
                above = middle;
            }
        }
        return map->class_index[below];
    }
    double step =
        floor((code - definition->low) / (definition->high - definition->low) * definition->count);
    if (step < 0) {
        return map->class_index[0];
    }
    return map->class_index[(unsigned)fmin(step, definition->count - 1)];
}

static void make_one(enum sevir_type type)
{
    const struct definition *definition = &definitions[type];
    struct made *map = &made[type];

    map->colors.palette = map->palette;
    /* The ends of a map first, so that they are exact; one entry is kept for `bad`. */
    map->under = intern(map, definition->under, 255);
    map->over = intern(map, definition->over, 255);
    for (unsigned i = 0; i < definition->count; i++) {
        map->class_index[i] = intern(map, definition->colors[i], 255);
    }
    map->bad = intern(map, COLORS_BAD, 256);
    for (unsigned code = 0; code < 256; code++) {
        map->of_u8[code] = classify(definition, map, type == SEVIR_VIL, code);
    }
    for (int code = INT16_MIN; code <= INT16_MAX; code++) {
        map->of_i16[(uint16_t)code] = classify(definition, map, type == SEVIR_VIL, code);
    }
}

static void make_all(void)
{
    for (unsigned type = 0; type < SEVIR_TYPE_COUNT; type++) {
        make_one((enum sevir_type)type);
    }
}

const struct colors *colors_of(enum sevir_type type)
{
    pthread_once(&made_once, make_all);
    return &made[type].colors;
}

const uint8_t *colors_bytes(enum sevir_type type)
{
    pthread_once(&made_once, make_all);
    return made[type].of_u8;
}

uint8_t colors_index(enum sevir_type type, double code)
{
    pthread_once(&made_once, make_all);
    return classify(&definitions[type], &made[type], type == SEVIR_VIL, code);
}

void colors_range(enum sevir_type type, double *ret_low, double *ret_high)
{
    const struct definition *definition = &definitions[type];
    bool levels = definition->levels != NULL;

    *ret_low = levels ? definition->levels[0] : definition->low;
    *ret_high = levels ? definition->levels[definition->count] : definition->high;
}

unsigned colors_levels(enum sevir_type type, const double **ret_levels)
{
    *ret_levels = definitions[type].levels;
    return *ret_levels != NULL ? definitions[type].count + 1 : 0;
}

/* A byte may alias anything, so without `restrict` the table is loaded again after every pixel. */

static void map_bytes(const uint8_t *restrict codes, size_t pixels, const uint8_t *restrict table,
                      uint8_t *restrict to)
{
    for (size_t i = 0; i < pixels; i++) {
        to[i] = table[codes[i]];
    }
}

static void map_words(const uint16_t *restrict codes, size_t pixels, const uint8_t *restrict table,
                      uint8_t *restrict to)
{
    for (size_t i = 0; i < pixels; i++) {
        to[i] = table[codes[i]];
    }
}

#define MAP_BY_CLASS(T)                                                                 \
    for (size_t i = 0; i < pixels; i++) {                                               \
        ret_indices[i] = classify(definition, map, vil, (double)((const T *)plane)[i]); \
    }                                                                                   \
    break

void colors_map(enum sevir_type type, const void *plane, size_t pixels, enum sample sample,
                uint8_t *ret_indices)
{
    const struct definition *definition = &definitions[type];
    const struct made *map = &made[type];
    bool vil = type == SEVIR_VIL;

    pthread_once(&made_once, make_all);
    switch (sample) {
    case SAMPLE_U8:
        map_bytes(plane, pixels, map->of_u8, ret_indices);
        break;
    case SAMPLE_I16:
        map_words(plane, pixels, map->of_i16, ret_indices);
        break;
    case SAMPLE_I8:
        MAP_BY_CLASS(int8_t);
    case SAMPLE_U16:
        MAP_BY_CLASS(uint16_t);
    case SAMPLE_U32:
        MAP_BY_CLASS(uint32_t);
    case SAMPLE_I32:
        MAP_BY_CLASS(int32_t);
    case SAMPLE_U64:
        MAP_BY_CLASS(uint64_t);
    case SAMPLE_I64:
        MAP_BY_CLASS(int64_t);
    case SAMPLE_F32:
        MAP_BY_CLASS(float);
    case SAMPLE_F64:
        MAP_BY_CLASS(double);
    }
}
