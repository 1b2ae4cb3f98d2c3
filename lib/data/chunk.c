#include "lib/data/chunk.h"

#include <inttypes.h>
#include <libdeflate.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/data/layout_p.h"

#define FLETCHER_BYTES 4

bool chunk_is_verbatim(unsigned filter_count, uint32_t mask)
{
    for (unsigned i = 0; i < filter_count; i++) {
        if ((mask >> i & 1) == 0) {
            return false;
        }
    }
    return true;
}

/** Between two filters a chunk may be a little larger than decoded: by checksums, or by deflate
 * applied to what does not shrink. */
static uint64_t between_bytes(uint64_t out_bytes)
{
    return out_bytes + out_bytes / 64 + 1024;
}

uint64_t chunk_scratch_bytes(const struct layout_filter *filters, unsigned count,
                             uint64_t out_bytes)
{
    unsigned producers = 0, buffers;
    bool checksum = false, checksum_inside = false;

    for (unsigned i = 0; i < count; i++) {
        if (filters[i].id == LAYOUT_FLETCHER32) {
            checksum = true;
        } else {
            checksum_inside = producers == 0 ? checksum : checksum_inside;
            producers++;
        }
    }
    /* The last filter to be undone writes into the output itself, unless a checksum, to be cut off
     * yet, is still behind its data. */
    buffers = producers - (producers > 0 && !checksum_inside ? 1 : 0);
    return MIN_OF(buffers, 2u) * between_bytes(out_bytes);
}

uint32_t chunk_fletcher32(const uint8_t *bytes, size_t len)
{
    uint32_t sum1 = 0, sum2 = 0;
    size_t words = len / 2;

    while (words > 0) {
        size_t some = MIN_OF(words, (size_t)360); /* as many as cannot overflow 32 bits */

        words -= some;
        for (; some > 0; some--, bytes += 2) {
            sum1 += (uint32_t)bytes[0] << 8 | bytes[1];
            sum2 += sum1;
        }
        sum1 = (sum1 & 0xFFFF) + (sum1 >> 16);
        sum2 = (sum2 & 0xFFFF) + (sum2 >> 16);
    }
    if (len % 2 != 0) {
        sum1 += (uint32_t)*bytes << 8;
        sum2 += sum1;
        sum1 = (sum1 & 0xFFFF) + (sum1 >> 16);
        sum2 = (sum2 & 0xFFFF) + (sum2 >> 16);
    }
    sum1 = (sum1 & 0xFFFF) + (sum1 >> 16);
    sum2 = (sum2 & 0xFFFF) + (sum2 >> 16);
    return sum2 << 16 | sum1;
}

static enum rc check_fletcher32(const uint8_t *bytes, size_t *len, struct err *err)
{
    const uint8_t *tail;
    uint32_t stored, computed, swapped;

    if (*len < FLETCHER_BYTES) {
        return err_set(err, RC_CORRUPT, "%zu bytes are too few for a fletcher32 checksum", *len);
    }
    *len -= FLETCHER_BYTES;
    tail = bytes + *len;
    stored = (uint32_t)tail[0] | (uint32_t)tail[1] << 8 | (uint32_t)tail[2] << 16 |
             (uint32_t)tail[3] << 24;
    computed = chunk_fletcher32(bytes, *len);
    /* HDF5 before 1.6.3 summed words in the machine's order; its files are still accepted. */
    swapped = (computed & 0x00FF00FF) << 8 | (computed >> 8 & 0x00FF00FF);
    if (stored != computed && stored != swapped) {
        return err_set(err, RC_CORRUPT, "fletcher32 is 0x%08" PRIx32 ", not 0x%08" PRIx32, computed,
                       stored);
    }
    return RC_OK;
}

static void unshuffle2(const uint8_t *low, const uint8_t *high, uint8_t *out, size_t count)
{
    size_t i = 0;

    /* A constant inner count lets the compiler interleave whole vectors. */
    for (; i + 32 <= count; i += 32) {
        for (size_t k = 0; k < 32; k++) {
            out[2 * (i + k)] = low[i + k];
            out[2 * (i + k) + 1] = high[i + k];
        }
    }
    for (; i < count; i++) {
        out[2 * i] = low[i];
        out[2 * i + 1] = high[i];
    }
}

static void unshuffle4(const uint8_t *planes, size_t count, uint8_t *out)
{
    const uint8_t *a = planes, *b = a + count, *c = b + count, *d = c + count;

    for (size_t i = 0; i < count; i++) {
        out[4 * i] = a[i];
        out[4 * i + 1] = b[i];
        out[4 * i + 2] = c[i];
        out[4 * i + 3] = d[i];
    }
}

void chunk_unshuffle(const uint8_t *shuffled, uint8_t *elements, size_t len, size_t element_bytes)
{
    size_t count = len / element_bytes;

    if (element_bytes == 2) {
        unshuffle2(shuffled, shuffled + count, elements, count);
    } else if (element_bytes == 4) {
        unshuffle4(shuffled, count, elements);
    } else {
        /* Blocks of elements, so that what is written stays in the cache between planes. */
        for (size_t start = 0; start < count; start += 256) {
            size_t end = MIN_OF(count, start + 256);

            for (size_t plane = 0; plane < element_bytes; plane++) {
                const uint8_t *from = shuffled + plane * count;

                for (size_t i = start; i < end; i++) {
                    elements[i * element_bytes + plane] = from[i];
                }
            }
        }
    }
    memcpy(elements + count * element_bytes, shuffled + count * element_bytes,
           len - count * element_bytes);
}

static enum rc inflate_chunk(const struct chunk_job *job, const uint8_t *from, size_t len,
                             uint8_t *to, size_t *room, struct err *err)
{
    size_t got = 0;

    switch (libdeflate_zlib_decompress(job->inflater, from, len, to, *room, &got)) {
    case LIBDEFLATE_SUCCESS:
        *room = got;
        return RC_OK;
    case LIBDEFLATE_INSUFFICIENT_SPACE:
        return err_set(err, RC_CORRUPT, "inflates to more than its %zu bytes", job->out_bytes);
    default:
        return err_set(err, RC_CORRUPT, "its %zu bytes are not a zlib stream", len);
    }
}

enum rc chunk_decode(const struct chunk_job *job, struct err *err)
{
    size_t room = between_bytes(job->out_bytes), len = job->stored_bytes;
    const uint8_t *at = job->stored;
    unsigned turn = 0;

    for (unsigned i = job->filter_count; i-- > 0;) {
        /* What the lower bits of the mask leave to be undone after this one. */
        bool last = chunk_is_verbatim(i, job->mask);
        uint8_t *to = last ? job->out : job->scratch + turn * room;
        size_t to_bytes = last ? job->out_bytes : room;
        enum rc rc = RC_OK;

        if (job->mask >> i & 1) {
            continue;
        }
        switch (job->filters[i].id) {
        case LAYOUT_FLETCHER32:
            rc = check_fletcher32(at, &len, err);
            to = NULL;
            break;
        case LAYOUT_DEFLATE:
            rc = inflate_chunk(job, at, len, to, &to_bytes, err);
            len = to_bytes;
            break;
        default:
            if (len > to_bytes) {
                rc = err_set(err, RC_CORRUPT, "%zu bytes to unshuffle, where it has %zu", len,
                             job->out_bytes);
                break;
            }
            chunk_unshuffle(at, to, len, job->element_bytes);
            break;
        }
        if (rc != RC_OK) {
            return rc;
        }
        if (to != NULL) {
            at = to;
            turn ^= 1;
        }
    }
    if (len != job->out_bytes) {
        return err_set(err, RC_CORRUPT, "decodes to %zu bytes, not %zu", len, job->out_bytes);
    }
    if (at != job->out) {
        memcpy(job->out, at, len);
    }
    return RC_OK;
}

#define SWAP_ALL(bits)                                               \
    for (size_t i = 0; i < count; i++) {                             \
        uint##bits##_t value;                                        \
                                                                     \
        memcpy(&value, elements + i * sizeof(value), sizeof(value)); \
        value = __builtin_bswap##bits(value);                        \
        memcpy(elements + i * sizeof(value), &value, sizeof(value)); \
    }

void chunk_swap(uint8_t *elements, size_t count, size_t element_bytes)
{
    if (element_bytes == 2) {
        SWAP_ALL(16)
    } else if (element_bytes == 4) {
        SWAP_ALL(32)
    } else if (element_bytes == 8) {
        SWAP_ALL(64)
    }
}
