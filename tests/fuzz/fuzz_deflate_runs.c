/** @file
 * Any bytes, and any bytes drawn out into runs: zlib reads the stream as what went in.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "lib/data/deflate_runs.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

#define DRAWN_MAX 400000

static void judge(struct deflate_runs *encoder, const uint8_t *bytes, size_t len)
{
    uint8_t *from = malloc(len + DEFLATE_RUNS_SLACK), *to = malloc(deflate_runs_bound(len));
    uint8_t *back = malloc(len + 1);
    uLongf got = len + 1;

    memcpy(from, bytes, len);
    memset(from + len, 0, DEFLATE_RUNS_SLACK);
    size_t stream = deflate_runs(encoder, from, len, to);

    if (stream > deflate_runs_bound(len) || uncompress(back, &got, to, stream) != Z_OK ||
        got != len || (len > 0 && memcmp(back, bytes, len) != 0)) {
        abort();
    }
    free(from);
    free(to);
    free(back);
}

/** Pairs of a byte and how often it stands there. */
static uint8_t *draw_out(const uint8_t *bytes, size_t len, size_t *ret_len)
{
    uint8_t *drawn = malloc(DRAWN_MAX);
    size_t at = 0;

    for (size_t i = 0; i + 1 < len; i += 2) {
        const size_t run = bytes[i + 1] < 128 ? bytes[i + 1] : (bytes[i + 1] - 127u) * 40u;

        if (run > DRAWN_MAX - at) {
            break;
        }
        memset(drawn + at, bytes[i], run);
        at += run;
    }
    *ret_len = at;
    return drawn;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct deflate_runs *encoder = deflate_runs_new();
    size_t drawn_len;
    uint8_t *drawn = draw_out(bytes, len, &drawn_len);

    judge(encoder, bytes, len);
    judge(encoder, drawn, drawn_len);
    free(drawn);
    deflate_runs_free(encoder);
    return 0;
}
