/** @file
 * zlib and libdeflate, neither of which wrote it, read every stream as the bytes that went in.
 */
#include "tests/unit.h"

#include <libdeflate.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "lib/data/deflate_runs.h"

static uint32_t seed = 1;

static unsigned random_below(unsigned limit)
{
    seed = seed * 1664525 + 1013904223;
    return (seed >> 8) % limit;
}

static size_t check(struct deflate_runs *encoder, const uint8_t *bytes, size_t len)
{
    /* As long as said, so that a sanitizer sees whatever reads or writes beyond. */
    uint8_t *from = malloc(len + DEFLATE_RUNS_SLACK), *to = malloc(deflate_runs_bound(len));
    uint8_t *back = malloc(len + 1);
    struct libdeflate_decompressor *other = libdeflate_alloc_decompressor();
    uLongf got = len + 1;
    size_t read, wrote;

    memcpy(from, bytes, len);
    memset(from + len, 0x5A, DEFLATE_RUNS_SLACK);
    size_t stream = deflate_runs(encoder, from, len, to);

    assert_true(stream <= deflate_runs_bound(len));
    assert_int_equal(uncompress(back, &got, to, stream), Z_OK);
    assert_int_equal(got, len);
    assert_memory_equal(back, bytes, len);
    memset(back, 0, len);
    assert_int_equal(libdeflate_zlib_decompress_ex(other, to, stream, back, len, &read, &wrote),
                     LIBDEFLATE_SUCCESS);
    assert_int_equal(read, stream);
    assert_int_equal(wrote, len);
    assert_memory_equal(back, bytes, len);
    libdeflate_free_decompressor(other);
    free(from);
    free(to);
    free(back);
    return stream;
}

static void fill(uint8_t *bytes, size_t len, unsigned kind)
{
    uint8_t value = 0;

    for (size_t i = 0; i < len; i++) {
        switch (kind) {
        case 0: /* noise */
            value = (uint8_t)random_below(256);
            break;
        case 1: /* one value */
            break;
        case 2: /* runs of all lengths */
            value = random_below(1 + (unsigned)(i % 97)) == 0 ? (uint8_t)random_below(256) : value;
            break;
        case 3: /* few values, short runs */
            value = (uint8_t)random_below(1 + random_below(7));
            break;
        default: /* long runs, then noise of a few values */
            value = random_below(300) == 0 ? (uint8_t)random_below(2) : value;
            bytes[i] = value != 0 ? (uint8_t)random_below(16) : 0;
            continue;
        }
        bytes[i] = value;
    }
}

static void every_kind_at_every_small_length(void **state)
{
    struct deflate_runs *encoder = deflate_runs_new();
    uint8_t bytes[700];

    (void)state;
    for (unsigned kind = 0; kind < 5; kind++) {
        for (size_t len = 0; len <= sizeof(bytes); len++) {
            fill(bytes, len, kind);
            check(encoder, bytes, len);
        }
    }
    deflate_runs_free(encoder);
}

static void many_blocks_and_lengths_around_their_bounds(void **state)
{
    static const size_t lens[] = {65534,  65535,  65536,  131071, 131072, 131073,
                                  131137, 196607, 262143, 262144, 262145, 1000000};
    struct deflate_runs *encoder = deflate_runs_new();
    uint8_t *bytes = malloc(1000000);

    (void)state;
    for (unsigned kind = 0; kind < 5; kind++) {
        for (unsigned i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
            fill(bytes, lens[i], kind);
            const size_t stream = check(encoder, bytes, lens[i]);

            assert_true(kind != 1 || stream < 2000);
        }
    }
    free(bytes);
    deflate_runs_free(encoder);
}

static void runs_of_every_length_in_noise(void **state)
{
    struct deflate_runs *encoder = deflate_runs_new();
    uint8_t bytes[1200];

    (void)state;
    for (size_t run = 0; run < 600; run++) {
        for (size_t start = 1; start < 130; start += 1 + random_below(40)) {
            fill(bytes, sizeof(bytes), 0);
            memset(bytes + start, 7, run);
            check(encoder, bytes, start + run);
            check(encoder, bytes, start + run + 300);
        }
    }
    deflate_runs_free(encoder);
}

/** Weights like Fibonacci's numbers make the deepest of trees, deeper than a code may be. */
static void codes_that_would_be_too_long_are_shortened(void **state)
{
    struct deflate_runs *encoder = deflate_runs_new();
    uint8_t *bytes = malloc(131072);
    size_t at = 0, one = 1, two = 1;

    (void)state;
    for (unsigned value = 0; at + two <= 131072; value++) {
        for (size_t i = 0; i < two; i++) {
            bytes[at + i] = (uint8_t)value;
        }
        at += two;
        two += one;
        one = two - one;
    }
    for (size_t i = at - 1; i > 0; i--) { /* shuffled, or they would all be runs */
        const size_t other = (size_t)random_below(1 << 16) * 2 % (i + 1);
        const uint8_t kept = bytes[i];

        bytes[i] = bytes[other];
        bytes[other] = kept;
    }
    check(encoder, bytes, at);
    free(bytes);
    deflate_runs_free(encoder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_at_every_small_length),
        cmocka_unit_test(many_blocks_and_lengths_around_their_bounds),
        cmocka_unit_test(runs_of_every_length_in_noise),
        cmocka_unit_test(codes_that_would_be_too_long_are_shortened),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
