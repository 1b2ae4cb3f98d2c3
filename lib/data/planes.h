/** @file
 * From an event's pixels [H][W][T] to T planes, and from a plane to its statistics. Pure.
 *
 * Statistics agree with numpy on float64: min, max and percentiles (linear) exactly, mean and
 * population std to 1e-9 relative.
 *
 * Thread:     any; workers.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/rc.h"
#include "lib/data/layout.h"

enum sample {
    SAMPLE_U8,
    SAMPLE_I8,
    SAMPLE_U16,
    SAMPLE_I16,
    SAMPLE_U32,
    SAMPLE_I32,
    SAMPLE_U64,
    SAMPLE_I64,
    SAMPLE_F32,
    SAMPLE_F64
};

/** The sample type of decoded (native) data; RC_UNSUPPORTED for strings and the like. */
enum rc sample_of(const struct layout_dtype *dtype, enum sample *ret_sample, struct err *err);
size_t sample_bytes(enum sample sample);

/** [pixels][frames] to [frames][pixels]; element size 1, 2, 4 or 8; buffers do not overlap. Fastest
 * where `planes` is aligned to 64 bytes and a plane is a multiple of that. */
void planes_transpose(const void *interleaved, void *planes, size_t pixels, size_t frames,
                      size_t element_bytes);
/** The same of `count` frames from `first` on: `planes` has room for these. */
void planes_transpose_some(const void *interleaved, void *planes, size_t pixels, size_t frames,
                           size_t first, size_t count, size_t element_bytes);

#define PLANE_PIXELS_MAX UINT32_MAX /**< More in one plane are refused by the caller. */
#define PLANE_PERCENTILES 7         /**< 1 10 25 50 75 90 99 */
#define PLANE_AREAS 6               /**< 16 74 133 160 181 219 */
extern const double plane_percentiles[PLANE_PERCENTILES];
extern const double plane_thresholds[PLANE_AREAS];

struct plane_stats {
    uint64_t pixels, valid;               /**< `valid`: how many are not missing. */
    double min, max, mean, std;           /**< NaN when nothing is valid. */
    double percentile[PLANE_PERCENTILES]; /**< NaN when nothing is valid. */
    double area[PLANE_AREAS]; /**< Fraction of valid at or above; NaN unless asked for. */
};

/** How codes become values and which of them are missing. */
struct plane_coding {
    double scale; /**< value = code * scale, positive; 1 keeps codes. */
    bool has_missing;
    double missing; /**< This code is missing; NaN always is. */
    bool areas;     /**< Compute `area`, of codes. */
};

/** Scratch for plane_statistics(), reused between planes: bytes wanted for a plane of `pixels`.
 * Plane and scratch are aligned to 8 bytes. */
size_t plane_scratch_bytes(enum sample sample, size_t pixels);
void plane_statistics(const void *plane, size_t pixels, enum sample sample,
                      const struct plane_coding *coding, void *scratch,
                      struct plane_stats *ret_stats);
