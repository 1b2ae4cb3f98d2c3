/** @file
 * Statistics of 32 and 64 bit codes: sorted by radix, whose time does not depend on what a hostile
 * file holds.
 */
#include <math.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/data/planes_p.h"

#define BLOCK 256 /**< Values that are summed together. */

/** Floats as integers of the same order: negative ones have all bits turned, others the sign's. */
static uint32_t float_key(uint32_t bits)
{
    return bits ^ (bits >> 31 ? UINT32_MAX : (uint32_t)1 << 31);
}

static uint32_t float_bits(uint32_t key)
{
    return key ^ (key >> 31 ? (uint32_t)1 << 31 : UINT32_MAX);
}

static uint64_t double_key(uint64_t bits)
{
    return bits ^ (bits >> 63 ? UINT64_MAX : (uint64_t)1 << 63);
}

static uint64_t double_bits(uint64_t key)
{
    return key ^ (key >> 63 ? (uint64_t)1 << 63 : UINT64_MAX);
}

#define GATHER(T, key_type, make_key)                                    \
    for (size_t i = 0; i < pixels; i++) {                                \
        T code = ((const T *)plane)[i];                                  \
                                                                         \
        if (code == code && !(has_missing && (double)code == missing)) { \
            key_type bits;                                               \
                                                                         \
            memcpy(&bits, &code, sizeof(bits));                          \
            ((key_type *)keys)[valid++] = make_key;                      \
        }                                                                \
    }

/** Keys of what is not missing; answers how many. */
static size_t gather(const void *plane, size_t pixels, enum sample sample,
                     const struct plane_coding *coding, void *keys)
{
    bool has_missing = coding->has_missing;
    double missing = coding->missing;
    size_t valid = 0;

    switch (sample) {
    case SAMPLE_U32:
        GATHER(uint32_t, uint32_t, bits)
        break;
    case SAMPLE_I32:
        GATHER(int32_t, uint32_t, bits ^ (uint32_t)1 << 31)
        break;
    case SAMPLE_U64:
        GATHER(uint64_t, uint64_t, bits)
        break;
    case SAMPLE_I64:
        GATHER(int64_t, uint64_t, bits ^ (uint64_t)1 << 63)
        break;
    case SAMPLE_F32:
        GATHER(float, uint32_t, float_key(bits))
        break;
    default:
        GATHER(double, uint64_t, double_key(bits))
        break;
    }
    return valid;
}

/** Stable, least digit first; digits that are the same everywhere are skipped. Ends in `keys`. */
#define DEFINE_SORT(T)                                               \
    static void sort_##T(T *keys, T *other, size_t count)            \
    {                                                                \
        uint32_t places[sizeof(T)][256] = {0};                       \
        T *from = keys, *to = other;                                 \
                                                                     \
        for (size_t i = 0; i < count; i++) {                         \
            for (unsigned digit = 0; digit < sizeof(T); digit++) {   \
                places[digit][from[i] >> (8 * digit) & 255]++;       \
            }                                                        \
        }                                                            \
        for (unsigned digit = 0; digit < sizeof(T); digit++) {       \
            uint32_t *place = places[digit], at = 0;                 \
                                                                     \
            if (place[from[0] >> (8 * digit) & 255] == count) {      \
                continue;                                            \
            }                                                        \
            for (unsigned i = 0; i < 256; i++) {                     \
                uint32_t here = place[i];                            \
                                                                     \
                place[i] = at;                                       \
                at += here;                                          \
            }                                                        \
            for (size_t i = 0; i < count; i++) {                     \
                to[place[from[i] >> (8 * digit) & 255]++] = from[i]; \
            }                                                        \
            T *swapped = from;                                       \
                                                                     \
            from = to;                                               \
            to = swapped;                                            \
        }                                                            \
        if (from != keys) {                                          \
            memcpy(keys, from, count * sizeof(T));                   \
        }                                                            \
    }

DEFINE_SORT(uint32_t)
DEFINE_SORT(uint64_t)

/** Sorted keys as values again. */
struct sorted {
    const void *keys;
    enum sample sample;
    double scale;
    size_t count;
};

static double code_at(const struct sorted *sorted, size_t rank)
{
    uint32_t four = 0;
    uint64_t eight = 0;
    float single;
    double code;

    if (sample_bytes(sorted->sample) == 4) {
        four = ((const uint32_t *)sorted->keys)[rank];
    } else {
        eight = ((const uint64_t *)sorted->keys)[rank];
    }
    switch (sorted->sample) {
    case SAMPLE_U32:
        return four;
    case SAMPLE_I32:
        return (double)four - 2147483648.0;
    case SAMPLE_U64:
        return (double)eight;
    case SAMPLE_I64:
        return (double)(int64_t)(eight ^ (uint64_t)1 << 63);
    case SAMPLE_F32:
        four = float_bits(four);
        memcpy(&single, &four, sizeof(single));
        return single + 0.0; /* no negative zero */
    default:
        eight = double_bits(eight);
        memcpy(&code, &eight, sizeof(code));
        return code + 0.0;
    }
}

static double value_at(const struct sorted *sorted, size_t rank)
{
    return code_at(sorted, rank) * sorted->scale;
}

/** The sum of (value - center)^power, power 1 or 2: pairwise, so that the error does not grow with
 * the number of values, and infinities stay what they are. */
static double sum_of(const struct sorted *sorted, double center, bool squared)
{
    double level[64] = {0}, total = 0;
    size_t blocks = 0;

    for (size_t start = 0; start < sorted->count; start += BLOCK, blocks++) {
        size_t end = MIN_OF(start + BLOCK, sorted->count);
        double sum = 0;
        unsigned at = 0;

        for (size_t i = start; i < end; i++) {
            double value = value_at(sorted, i) - center;

            sum += squared ? value * value : value;
        }
        for (; blocks >> at & 1; at++) {
            sum += level[at];
        }
        level[at] = sum;
    }
    for (unsigned at = 0; at < ARRAY_LEN(level); at++) {
        total += blocks >> at & 1 ? level[at] : 0;
    }
    return total;
}

static size_t sorted_below(const struct sorted *sorted, double threshold)
{
    size_t low = 0, high = sorted->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (code_at(sorted, middle) < threshold) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

void plane_wide_stats(const void *plane, size_t pixels, enum sample sample,
                      const struct plane_coding *coding, void *scratch, struct plane_stats *stats)
{
    size_t count = gather(plane, pixels, sample, coding, scratch);
    struct sorted sorted = {scratch, sample, coding->scale, count};
    uint8_t *half = (uint8_t *)scratch + pixels * sample_bytes(sample);
    uint64_t low, high;

    stats->valid = count;
    if (count == 0) {
        return;
    }
    if (sample_bytes(sample) == 4) {
        sort_uint32_t(scratch, (uint32_t *)half, count);
    } else {
        sort_uint64_t(scratch, (uint64_t *)half, count);
    }
    stats->min = value_at(&sorted, 0);
    stats->max = value_at(&sorted, count - 1);
    stats->mean = sum_of(&sorted, 0, false) / (double)count;
    stats->std = sqrt(sum_of(&sorted, stats->mean, true) / (double)count);
    for (unsigned i = 0; i < PLANE_PERCENTILES; i++) {
        double weight = plane_percentile_place(plane_percentiles[i], count, &low, &high);

        stats->percentile[i] =
            plane_interpolate(value_at(&sorted, low), value_at(&sorted, high), weight);
    }
    for (unsigned i = 0; coding->areas && i < PLANE_AREAS; i++) {
        size_t below = sorted_below(&sorted, plane_thresholds[i]);

        stats->area[i] = (double)(count - below) / (double)count;
    }
}
