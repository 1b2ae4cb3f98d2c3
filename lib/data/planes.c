/** @file
 * Statistics of a plane.
 *
 * Eight and sixteen bits are counted: one histogram gives the order statistics and, in exact
 * integer sums, mean and variance; sorting would cost a hundred times as much. Wider codes are
 * sorted by radix, whose time does not depend on what a hostile file holds.
 */
#include "lib/data/planes.h"

#include <math.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/data/planes_p.h"

/* clang-format off */
const double plane_percentiles[PLANE_PERCENTILES] = {1, 10, 25, 50, 75, 90, 99};
const double plane_thresholds[PLANE_AREAS] = {16, 74, 133, 160, 181, 219};
/* clang-format on */

#define BLOCK 256 /**< Bins that are summed together. */
#define BLOCKS_MAX (65536 / BLOCK)

enum rc sample_of(const struct layout_dtype *dtype, enum sample *ret_sample, struct err *err)
{
    static const enum sample integers[2][4] = {{SAMPLE_U8, SAMPLE_U16, SAMPLE_U32, SAMPLE_U64},
                                               {SAMPLE_I8, SAMPLE_I16, SAMPLE_I32, SAMPLE_I64}};
    uint32_t size = dtype->size;

    if (dtype->class_ == LAYOUT_INTEGER && (size == 1 || size == 2 || size == 4 || size == 8)) {
        *ret_sample = integers[dtype->is_signed][__builtin_ctz(size)];
        return RC_OK;
    }
    if (dtype->class_ == LAYOUT_FLOAT && (size == 4 || size == 8)) {
        *ret_sample = size == 4 ? SAMPLE_F32 : SAMPLE_F64;
        return RC_OK;
    }
    return err_set(err, RC_UNSUPPORTED,
                   "values of type '%s' are not read, only integers and floats of 4 or 8 bytes",
                   dtype->text);
}

size_t sample_bytes(enum sample sample)
{
    static const uint8_t bytes[] = {
        [SAMPLE_U8] = 1,  [SAMPLE_I8] = 1,  [SAMPLE_U16] = 2, [SAMPLE_I16] = 2, [SAMPLE_U32] = 4,
        [SAMPLE_I32] = 4, [SAMPLE_U64] = 8, [SAMPLE_I64] = 8, [SAMPLE_F32] = 4, [SAMPLE_F64] = 8};

    return bytes[sample];
}

size_t plane_scratch_bytes(enum sample sample, size_t pixels)
{
    switch (sample_bytes(sample)) {
    case 1:
        return 4 * 256 * sizeof(uint32_t);
    case 2:
        return 2 * 65536 * sizeof(uint32_t);
    default:
        return 2 * pixels * sample_bytes(sample);
    }
}

static void set_nothing(struct plane_stats *stats, size_t pixels)
{
    *stats =
        (struct plane_stats){.pixels = pixels, .min = NAN, .max = NAN, .mean = NAN, .std = NAN};
    for (unsigned i = 0; i < PLANE_PERCENTILES; i++) {
        stats->percentile[i] = NAN;
    }
    for (unsigned i = 0; i < PLANE_AREAS; i++) {
        stats->area[i] = NAN;
    }
}

double plane_percentile_place(double percent, uint64_t count, uint64_t *ret_low, uint64_t *ret_high)
{
    double place = (double)(count - 1) * (percent / 100.0), low = floor(place);

    if (place >= (double)(count - 1)) { /* one value; numpy then weighs from index -1 */
        *ret_low = *ret_high = count - 1;
        return place + 1;
    }
    *ret_low = (uint64_t)low;
    *ret_high = (uint64_t)low + 1;
    return place - low;
}

double plane_interpolate(double a, double b, double weight)
{
    double difference = b - a;

    return weight >= 0.5 ? b - difference * (1 - weight) : a + difference * weight;
}

struct bins {
    uint32_t *count;
    unsigned len;
    int32_t base;                    /**< The code of bin 0. */
    uint64_t before[BLOCKS_MAX + 1]; /**< How many lie in the blocks before. */
};

/** The code at a rank, 0 the least. */
static int32_t bins_at(const struct bins *bins, uint64_t rank)
{
    unsigned block = 0, bin;
    uint64_t seen;

    while (bins->before[block + 1] <= rank) {
        block++;
    }
    bin = block * BLOCK;
    seen = bins->before[block];
    while (seen + bins->count[bin] <= rank) {
        seen += bins->count[bin++];
    }
    return bins->base + (int32_t)bin;
}

static uint64_t bins_at_least(const struct bins *bins, double threshold)
{
    uint64_t total = bins->before[(bins->len + BLOCK - 1) / BLOCK], below;
    double first = ceil(threshold) - bins->base;
    unsigned bin = first <= 0 ? 0 : (unsigned)first; /* thresholds are small */

    if (bin >= bins->len) {
        return 0;
    }
    below = bins->before[bin / BLOCK];
    for (unsigned i = bin / BLOCK * BLOCK; i < bin; i++) {
        below += bins->count[i];
    }
    return total - below;
}

static void bins_stats(struct bins *bins, const struct plane_coding *coding,
                       struct plane_stats *stats)
{
    uint64_t valid = 0, sum = 0, squares = 0, low, high;
    double scale = coding->scale;
    unsigned block = 0;

    if (coding->has_missing && coding->missing >= bins->base &&
        coding->missing < (double)bins->base + bins->len &&
        coding->missing == floor(coding->missing)) {
        bins->count[(unsigned)(coding->missing - bins->base)] = 0;
    }
    for (unsigned start = 0; start < bins->len; start += BLOCK, block++) {
        unsigned end = MIN_OF(start + BLOCK, bins->len);

        bins->before[block] = valid;
        for (unsigned i = start; i < end; i++) {
            uint64_t count = bins->count[i];

            valid += count;
            sum += count * i;
            squares += count * i * i; /* below 2^32 pixels times 2^32 */
        }
    }
    bins->before[block] = valid;
    stats->valid = valid;
    if (valid == 0) {
        return;
    }
    stats->min = bins_at(bins, 0) * scale;
    stats->max = bins_at(bins, valid - 1) * scale;
    stats->mean = (double)((int64_t)sum + (int64_t)valid * bins->base) / (double)valid * scale;
    /* n * sum(x^2) - sum(x)^2, exact: rounding begins with the root. */
    stats->std = sqrt((double)((unsigned __int128)valid * squares - (unsigned __int128)sum * sum)) /
                 (double)valid * scale;
    for (unsigned i = 0; i < PLANE_PERCENTILES; i++) {
        double weight = plane_percentile_place(plane_percentiles[i], valid, &low, &high);

        stats->percentile[i] =
            plane_interpolate(bins_at(bins, low) * scale, bins_at(bins, high) * scale, weight);
    }
    for (unsigned i = 0; coding->areas && i < PLANE_AREAS; i++) {
        stats->area[i] = (double)bins_at_least(bins, plane_thresholds[i]) / (double)valid;
    }
}

/** Four tables, since a counter can be raised again only when it has been stored; and sixteen equal
 * pixels, of which weather has many, at once. */
static void count_bytes(const uint8_t *plane, size_t pixels, uint32_t *tables)
{
#define COUNT_FOUR(word) \
    (a[(word)&255]++, b[(word) >> 8 & 255]++, c[(word) >> 16 & 255]++, d[(word) >> 24 & 255]++)
    uint32_t *a = tables, *b = a + 256, *c = b + 256, *d = c + 256;
    size_t i = 0;

    memset(tables, 0, 4 * 256 * sizeof(*tables));
    for (; i + 16 <= pixels; i += 16) {
        uint64_t one, two;

        memcpy(&one, plane + i, 8);
        memcpy(&two, plane + i + 8, 8);
        if (((one ^ two) | (one ^ (one << 8 | one >> 56))) == 0) {
            a[one & 255] += 16;
            continue;
        }
        COUNT_FOUR(one);
        COUNT_FOUR(one >> 32);
        COUNT_FOUR(two);
        COUNT_FOUR(two >> 32);
    }
    for (; i < pixels; i++) {
        a[plane[i]]++;
    }
    for (i = 0; i < 256; i++) {
        a[i] += b[i] + c[i] + d[i];
    }
#undef COUNT_FOUR
}

static void byte_stats(const uint8_t *plane, size_t pixels, bool is_signed,
                       const struct plane_coding *coding, uint32_t *tables,
                       struct plane_stats *stats)
{
    struct bins bins = {.count = tables, .len = 256, .base = 0};

    count_bytes(plane, pixels, tables);
    if (is_signed) { /* bytes 128 to 255 are the codes -128 to -1 */
        uint32_t *turned = tables + 256;

        memcpy(turned, tables + 128, 128 * sizeof(*tables));
        memcpy(turned + 128, tables, 128 * sizeof(*tables));
        bins.count = turned;
        bins.base = -128;
    }
    bins_stats(&bins, coding, stats);
}

/** Least and greatest of `flip`ped words: 0x8000 turns the order of signed ones into unsigned. */
static void word_range(const uint16_t *plane, size_t pixels, uint16_t flip, uint16_t *ret_low,
                       uint16_t *ret_high)
{
    enum { LANES = 32 };
    int16_t low[LANES], high[LANES], bias = (int16_t)(flip ^ 0x8000);
    size_t i = 0;

    for (unsigned k = 0; k < LANES; k++) {
        low[k] = INT16_MAX;
        high[k] = INT16_MIN;
    }
    for (; i + LANES <= pixels; i += LANES) {
        const uint16_t *at = plane + i;

        for (unsigned k = 0; k < LANES; k++) {
            int16_t value = (int16_t)(at[k] ^ (uint16_t)bias);

            low[k] = MIN_OF(value, low[k]);
            high[k] = MAX_OF(value, high[k]);
        }
    }
    for (; i < pixels; i++) {
        int16_t value = (int16_t)(plane[i] ^ (uint16_t)bias);

        low[0] = MIN_OF(value, low[0]);
        high[0] = MAX_OF(value, high[0]);
    }
    for (unsigned k = 1; k < LANES; k++) {
        low[0] = MIN_OF(low[k], low[0]);
        high[0] = MAX_OF(high[k], high[0]);
    }
    *ret_low = (uint16_t)low[0] ^ 0x8000;
    *ret_high = (uint16_t)high[0] ^ 0x8000;
}

static void word_stats(const uint16_t *plane, size_t pixels, bool is_signed,
                       const struct plane_coding *coding, uint32_t *tables,
                       struct plane_stats *stats)
{
    struct bins bins = {.count = tables};
    uint16_t flip = is_signed ? 0x8000 : 0, low, high;
    uint32_t *second;
    size_t i = 0;

    word_range(plane, pixels, flip, &low, &high);
    bins.len = (unsigned)(high - low) + 1;
    bins.base = (int32_t)low - (is_signed ? 32768 : 0);
    second = tables + bins.len;
    memset(tables, 0, 2 * (size_t)bins.len * sizeof(*tables));
    for (; i + 2 <= pixels; i += 2) { /* neighbours are alike: two tables, as above */
        tables[(plane[i] ^ flip) - low]++;
        second[(plane[i + 1] ^ flip) - low]++;
    }
    if (i < pixels) {
        tables[(plane[i] ^ flip) - low]++;
    }
    for (unsigned bin = 0; bin < bins.len; bin++) {
        tables[bin] += second[bin];
    }
    bins_stats(&bins, coding, stats);
}

void plane_statistics(const void *plane, size_t pixels, enum sample sample,
                      const struct plane_coding *coding, void *scratch,
                      struct plane_stats *ret_stats)
{
    set_nothing(ret_stats, pixels);
    if (pixels == 0) {
        return;
    }
    switch (sample) {
    case SAMPLE_U8:
    case SAMPLE_I8:
        byte_stats(plane, pixels, sample == SAMPLE_I8, coding, scratch, ret_stats);
        return;
    case SAMPLE_U16:
    case SAMPLE_I16:
        word_stats(plane, pixels, sample == SAMPLE_I16, coding, scratch, ret_stats);
        return;
    default:
        plane_wide_stats(plane, pixels, sample, coding, scratch, ret_stats);
        return;
    }
}
