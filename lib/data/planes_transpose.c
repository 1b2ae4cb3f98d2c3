/** @file
 * From interleaved pixels to planes.
 *
 * A strip of pixels that fills one cache line of every plane is cut into square tiles, which are
 * transposed in registers: interleaving row i with row i + n/2, log2(n) times, is a transposition.
 * Sixteen (eight, four, two) rows of results are staged and leave as whole lines, past the cache
 * where the machine can: nobody reads a plane before the strip after next, and not fetching lines
 * that are about to be overwritten halves the time. Tiles are vectors of the compiler's, so this
 * is the same code on every machine.
 */
#include <string.h>

#include "lib/base/mem.h"
#include "lib/data/planes.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define LINE 64 /**< Bytes of a plane that a strip fills. */
/** Smaller results are read from the cache sooner than they would come back from memory. */
#define STREAM_BYTES ((size_t)1 << 20)

typedef uint8_t vec1 __attribute__((vector_size(16)));
typedef uint16_t vec2 __attribute__((vector_size(16)));
typedef uint32_t vec4 __attribute__((vector_size(16)));
typedef uint64_t vec8 __attribute__((vector_size(16)));

/* clang-format off */
#define LOW1(a, b)  __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define HIGH1(a, b) __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)
#define LOW2(a, b)  __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11)
#define HIGH2(a, b) __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15)
#define LOW4(a, b)  __builtin_shufflevector(a, b, 0, 4, 1, 5)
#define HIGH4(a, b) __builtin_shufflevector(a, b, 2, 6, 3, 7)
#define LOW8(a, b)  __builtin_shufflevector(a, b, 0, 2)
#define HIGH8(a, b) __builtin_shufflevector(a, b, 1, 3)

#ifdef __clang__
#define UNROLLED _Pragma("unroll")
#else
#define UNROLLED _Pragma("GCC unroll 16")
#endif
#define ROUND(e, from, to)                                               \
    UNROLLED for (unsigned i = 0; i < 8 / (e); i++) {                             \
        (to)[2 * i] = LOW##e((from)[i], (from)[i + 8 / (e)]);            \
        (to)[2 * i + 1] = HIGH##e((from)[i], (from)[i + 8 / (e)]);       \
    }
#define ROUNDS1 ROUND(1, a, b) ROUND(1, b, a) ROUND(1, a, b) ROUND(1, b, a)
#define ROUNDS2 ROUND(2, a, b) ROUND(2, b, a) ROUND(2, a, b) memcpy(a, b, sizeof(a));
#define ROUNDS4 ROUND(4, a, b) ROUND(4, b, a)
#define ROUNDS8 ROUND(8, a, b) memcpy(a, b, sizeof(a));
/* clang-format on */

/** 16 / e pixels of 16 / e frames: rows of 16 bytes, `from_step` apart, to columns in the stage. */
#define DEFINE_TILE(e)                                                                \
    static inline void tile##e(const uint8_t *from, size_t from_step, uint8_t *stage) \
    {                                                                                 \
        vec##e a[16 / (e)], b[16 / (e)];                                              \
                                                                                      \
        UNROLLED for (unsigned i = 0; i < 16 / (e); i++)                              \
        {                                                                             \
            memcpy(&a[i], from + i * from_step, 16);                                  \
        }                                                                             \
        ROUNDS##e UNROLLED for (unsigned i = 0; i < 16 / (e); i++)                    \
        {                                                                             \
            memcpy(stage + i * LINE, &a[i], 16);                                      \
        }                                                                             \
    }

DEFINE_TILE(1)
DEFINE_TILE(2)
DEFINE_TILE(4)
DEFINE_TILE(8)

struct turn {
    const uint8_t *from;
    uint8_t *to;
    size_t pixels, frames, element_bytes;
    size_t row, plane; /**< Bytes of a pixel's frames, and of a plane. */
    size_t tiled;      /**< Pixels from whose frames on 16 bytes may be read. */
    bool stream;
};

static void put_line(const struct turn *turn, uint8_t *to, const uint8_t *line)
{
#ifdef __SSE2__
    if (turn->stream) {
        for (unsigned i = 0; i < LINE; i += 16) {
            _mm_stream_si128((__m128i *)(to + i), _mm_load_si128((const __m128i *)(line + i)));
        }
        return;
    }
#endif
    memcpy(to, line, LINE);
}

/** Some pixels of some frames, one by one: edges. */
static void turn_scalar(const struct turn *turn, size_t pixel, size_t pixel_end, size_t frame)
{
    size_t e = turn->element_bytes;

    for (; frame < turn->frames; frame++) {
        const uint8_t *from = turn->from + pixel * turn->row + frame * e;
        uint8_t *to = turn->to + frame * turn->plane + pixel * e;

        for (size_t i = pixel; i < pixel_end; i++, from += turn->row, to += e) {
            switch (e) {
            case 1:
                *to = *from;
                break;
            case 2:
                memcpy(to, from, 2);
                break;
            case 4:
                memcpy(to, from, 4);
                break;
            default:
                memcpy(to, from, 8);
                break;
            }
        }
    }
}

/** One strip: LINE / e pixels of all frames. The last frames take a tile that overlaps the one
 * before, of which only the new rows are stored; where all are fewer than a tile has, it reads into
 * the next pixel. A few are done one by one. */
#define DEFINE_STRIP(e)                                                                         \
    static void strip##e(const struct turn *turn, size_t pixel)                                 \
    {                                                                                           \
        const size_t lanes = 16 / (e);                                                          \
        uint8_t stage[16 / (e)*LINE] __attribute__((aligned(LINE)));                            \
        const bool tiles = turn->frames >= lanes || pixel + LINE / (e) <= turn->tiled;          \
        size_t frame = 0;                                                                       \
                                                                                                \
        while (tiles && turn->frames - frame > lanes / 4) {                                     \
            size_t left = turn->frames - frame;                                                 \
            size_t skip = left < lanes && frame > 0 ? lanes - left : 0;                         \
            size_t end = MIN_OF(skip + left, lanes);                                            \
            const uint8_t *from = turn->from + pixel * turn->row + (frame - skip) * (e);        \
                                                                                                \
            for (size_t i = 0; i < 4; i++) {                                                    \
                tile##e(from + i * lanes * turn->row, turn->row, stage + i * 16);               \
            }                                                                                   \
            for (size_t i = skip; i < end; i++, frame++) {                                      \
                put_line(turn, turn->to + frame * turn->plane + pixel * (e), stage + i * LINE); \
            }                                                                                   \
        }                                                                                       \
        turn_scalar(turn, pixel, pixel + LINE / (e), frame);                                    \
    }

DEFINE_STRIP(1)
DEFINE_STRIP(2)
DEFINE_STRIP(4)
DEFINE_STRIP(8)

void planes_transpose_some(const void *interleaved, void *planes, size_t pixels, size_t frames,
                           size_t first, size_t count, size_t element_bytes)
{
    struct turn turn = {.from = (const uint8_t *)interleaved + first * element_bytes,
                        .to = planes,
                        .pixels = pixels,
                        .frames = count,
                        .element_bytes = element_bytes,
                        .row = frames * element_bytes,
                        .plane = pixels * element_bytes};
    size_t strip = LINE / element_bytes, pixel = 0, edge;

    if (frames <= 1 || (pixels <= 1 && count == frames)) {
        memcpy(planes, interleaved, pixels * turn.row);
        return;
    }
    /* How far 16 bytes from a pixel's first wanted frame on are still of the pixels. */
    size_t tail = (16 + first * element_bytes + turn.row - 1) / turn.row;

    turn.tiled = pixels >= tail ? pixels - tail + 1 : 0;
    /* Whole lines of every plane, if all planes begin alike. */
    edge = (LINE - (uintptr_t)planes % LINE) % LINE;
    if (turn.plane % LINE == 0 && edge % element_bytes == 0) {
        turn.stream = turn.plane * count >= STREAM_BYTES;
        pixel = edge / element_bytes;
        turn_scalar(&turn, 0, pixel, 0);
    }
    for (; pixels - pixel >= strip; pixel += strip) {
        switch (element_bytes) {
        case 1:
            strip1(&turn, pixel);
            break;
        case 2:
            strip2(&turn, pixel);
            break;
        case 4:
            strip4(&turn, pixel);
            break;
        default:
            strip8(&turn, pixel);
            break;
        }
    }
    turn_scalar(&turn, pixel, pixels, 0);
#ifdef __SSE2__
    _mm_sfence();
#endif
}

void planes_transpose(const void *interleaved, void *planes, size_t pixels, size_t frames,
                      size_t element_bytes)
{
    planes_transpose_some(interleaved, planes, pixels, frames, 0, frames, element_bytes);
}
