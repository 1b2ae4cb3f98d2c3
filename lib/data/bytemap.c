#include "lib/data/bytemap.h"

#include <string.h>

#ifdef __SSE2__
#include <immintrin.h>
#endif

void bytemap_of(const uint8_t table[256], struct bytemap *ret_map)
{
    struct bytemap *map = ret_map;

    *map = (struct bytemap){.table = table, .first = table[0]};
    for (unsigned code = 1; code < 256; code++) {
        if (table[code] == table[code - 1]) {
            continue;
        }
        if (map->steps == BYTEMAP_STEPS) {
            return;
        }
        struct bytemap_step *step = &map->step[map->steps++];

        memset(step->at, (int)code, sizeof(step->at));
        memset(step->add, (uint8_t)(table[code] - table[code - 1]), sizeof(step->add));
    }
    map->stepped = map->steps > 0;
    map->begin = map->step[0].at[0];
}

#ifdef __SSE2__
#ifdef __clang__
#define UNROLLED _Pragma("unroll")
#else
#define UNROLLED _Pragma("GCC unroll 4")
#endif

enum { VECTORS = 4 };

/** Whole blocks of VECTORS vectors; answers how many bytes they were. Where no byte of a block
 * reaches the first step, as in most of a picture without rain, that is all there is to see. */
#define DEFINE_APPLY(name, attributes, vector, prefix, type)                                    \
    attributes static size_t name(const struct bytemap *map, const uint8_t *from, size_t count, \
                                  uint8_t *to)                                                  \
    {                                                                                           \
        const size_t bytes = sizeof(vector);                                                    \
        const vector below = prefix##_set1_epi8((char)(map->begin - 1));                        \
        const vector zero = prefix##_setzero_##type(),                                          \
                     first = prefix##_set1_epi8((char)map->first);                              \
        size_t i = 0;                                                                           \
                                                                                                \
        for (; i + VECTORS * bytes <= count; i += VECTORS * bytes) {                            \
            vector codes[VECTORS], sums[VECTORS], beyond = zero;                                \
                                                                                                \
            UNROLLED for (unsigned k = 0; k < VECTORS; k++)                                     \
            {                                                                                   \
                codes[k] = prefix##_loadu_##type((const vector *)(from + i + k * bytes));       \
                sums[k] = first;                                                                \
                beyond = prefix##_or_##type(beyond, prefix##_subs_epu8(codes[k], below));       \
            }                                                                                   \
            const int none = prefix##_movemask_epi8(prefix##_cmpeq_epi8(beyond, zero));         \
            const unsigned steps = none == (int)((1ull << bytes) - 1) ? 0 : map->steps;         \
                                                                                                \
            for (unsigned s = 0; s < steps; s++) {                                              \
                const vector at = prefix##_loadu_##type((const vector *)map->step[s].at);       \
                const vector add = prefix##_loadu_##type((const vector *)map->step[s].add);     \
                                                                                                \
                UNROLLED for (unsigned k = 0; k < VECTORS; k++)                                 \
                {                                                                               \
                    const vector reached =                                                      \
                        prefix##_cmpeq_epi8(prefix##_max_epu8(codes[k], at), codes[k]);         \
                    sums[k] = prefix##_add_epi8(sums[k], prefix##_and_##type(add, reached));    \
                }                                                                               \
            }                                                                                   \
            UNROLLED for (unsigned k = 0; k < VECTORS; k++)                                     \
            {                                                                                   \
                prefix##_storeu_##type((vector *)(to + i + k * bytes), sums[k]);                \
            }                                                                                   \
        }                                                                                       \
        return i;                                                                               \
    }

DEFINE_APPLY(apply_16, , __m128i, _mm, si128)
DEFINE_APPLY(apply_32, __attribute__((target("avx2"))), __m256i, _mm256, si256)
#endif

static size_t apply_steps(const struct bytemap *map, const uint8_t *from, size_t count, uint8_t *to)
{
#ifdef __SSE2__
    size_t done = __builtin_cpu_supports("avx2") ? apply_32(map, from, count, to) : 0;

    return done + apply_16(map, from + done, count - done, to + done);
#else
    (void)map, (void)from, (void)count, (void)to;
    return 0;
#endif
}

void bytemap_apply(const struct bytemap *map, const uint8_t *from, size_t count, uint8_t *to)
{
    const uint8_t *table = map->table;
    size_t i = map->stepped ? apply_steps(map, from, count, to) : 0;

    for (; i + 8 <= count; i += 8) { /* a byte that is stored may be any other: load eight before */
        uint8_t some[8];

        memcpy(some, from + i, 8);
        for (unsigned k = 0; k < 8; k++) {
            to[i + k] = table[some[k]];
        }
    }
    for (; i < count; i++) {
        to[i] = table[from[i]];
    }
}
