/** @file
 * A PNG is a signature and chunks. The first frame's chunks go out as they are, behind the chunk
 * that announces the animation; of the others only the image data, renamed and numbered.
 */
#include "lib/data/apng.h"

#include <assert.h>
#include <libdeflate.h>
#include <string.h>

#define SIGNATURE 8
#define CHUNK_BYTES 12 /**< Length, name and checksum around the data. */
#define NAME 4
#define HEAD 13 /**< IHDR */

struct chunk {
    char name[NAME + 1];
    const uint8_t *data;
    size_t len;
};

static uint32_t read_u32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static void put_u32(uint8_t *bytes, uint32_t value)
{
    bytes[0] = (uint8_t)(value >> 24);
    bytes[1] = (uint8_t)(value >> 16);
    bytes[2] = (uint8_t)(value >> 8);
    bytes[3] = (uint8_t)value;
}

/** `first` bytes and then `second`, as one chunk. */
static void write_chunk(struct strbuf *out, const char *name, const uint8_t *first,
                        size_t first_len, const uint8_t *second, size_t second_len)
{
    uint8_t number[4];
    uint32_t crc = libdeflate_crc32(0, name, NAME);

    /* of nothing it would begin anew */
    crc = first_len > 0 ? libdeflate_crc32(crc, first, first_len) : crc;
    crc = second_len > 0 ? libdeflate_crc32(crc, second, second_len) : crc;
    put_u32(number, (uint32_t)(first_len + second_len));
    strbuf_add(out, number, sizeof(number));
    strbuf_add(out, name, NAME);
    if (first_len > 0) {
        strbuf_add(out, first, first_len);
    }
    if (second_len > 0) {
        strbuf_add(out, second, second_len);
    }
    put_u32(number, crc);
    strbuf_add(out, number, sizeof(number));
}

static bool next_chunk(const uint8_t *png, size_t len, size_t *at, struct chunk *ret_chunk)
{
    size_t left = len - *at, data_len;

    if (left < CHUNK_BYTES) {
        return false;
    }
    data_len = read_u32(png + *at);
    if (data_len > left - CHUNK_BYTES) {
        return false;
    }
    memcpy(ret_chunk->name, png + *at + 4, NAME);
    ret_chunk->name[NAME] = '\0';
    ret_chunk->data = png + *at + 8;
    ret_chunk->len = data_len;
    *at += CHUNK_BYTES + data_len;
    return true;
}

static bool is(const struct chunk *chunk, const char *name)
{
    return memcmp(chunk->name, name, NAME) == 0;
}

static void write_control(struct apng *apng)
{
    uint8_t data[26] = {0}; /* at the origin, nothing blended, nothing disposed of */

    put_u32(data, apng->sequence++);
    put_u32(data + 4, apng->width);
    put_u32(data + 8, apng->height);
    data[20] = (uint8_t)(apng->delay_ms >> 8);
    data[21] = (uint8_t)apng->delay_ms;
    data[22] = 1000 >> 8;
    data[23] = 1000 & 0xff;
    write_chunk(apng->out, "fcTL", data, sizeof(data), NULL, 0);
}

static void write_announcement(struct apng *apng)
{
    uint8_t data[8];

    put_u32(data, apng->frames);
    put_u32(data + 4, apng->loops);
    write_chunk(apng->out, "acTL", data, sizeof(data), NULL, 0);
}

/** Head or palette: kept of the first frame, compared with those of the others. */
static bool keep_or_compare(struct apng *apng, const struct chunk *chunk, size_t *at, size_t *len)
{
    if (apng->added > 0) {
        return chunk->len == *len && memcmp(chunk->data, apng->out->data + *at, *len) == 0;
    }
    *at = apng->out->len + 8;
    *len = chunk->len;
    return true;
}

/** Writes what the animation takes of one chunk; false when it does not fit the others. */
static bool take_chunk(struct apng *apng, const struct chunk *chunk, bool *has_data)
{
    const bool first = apng->added == 0;
    uint8_t number[4];

    if (is(chunk, "IDAT")) {
        if (!*has_data) {
            write_control(apng);
        }
        *has_data = true;
        if (!first) {
            put_u32(number, apng->sequence++);
            write_chunk(apng->out, "fdAT", number, sizeof(number), chunk->data, chunk->len);
            return true;
        }
    } else if ((is(chunk, "IHDR") &&
                !keep_or_compare(apng, chunk, &apng->head_at, &apng->head_len)) ||
               (is(chunk, "PLTE") &&
                !keep_or_compare(apng, chunk, &apng->colors_at, &apng->colors_len))) {
        return false;
    }
    if (first && !is(chunk, "IEND")) {
        write_chunk(apng->out, chunk->name, chunk->data, chunk->len, NULL, 0);
    }
    if (first && is(chunk, "IHDR")) {
        apng->width = read_u32(chunk->data);
        apng->height = read_u32(chunk->data + 4);
        write_announcement(apng);
    }
    return true;
}

void apng_begin(struct apng *apng, unsigned frames, unsigned delay_ms, unsigned loops,
                struct strbuf *out)
{
    assert(delay_ms <= APNG_DELAY_MAX_MS);
    *apng = (struct apng){.out = out, .frames = frames, .delay_ms = delay_ms, .loops = loops};
}

enum rc apng_add(struct apng *apng, const void *png, size_t len, struct err *err)
{
    static const uint8_t signature[SIGNATURE] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    const size_t before = apng->out->len;
    size_t at = SIGNATURE;
    bool has_data = false;
    struct chunk chunk = {{0}, NULL, 0};

    if (len < SIGNATURE || memcmp(png, signature, SIGNATURE) != 0) {
        return err_set(err, RC_INVALID, "animation: frame %u is no PNG", apng->added);
    }
    if (apng->added == 0) {
        strbuf_add(apng->out, signature, SIGNATURE);
    }
    while (!is(&chunk, "IEND")) {
        if (!next_chunk(png, len, &at, &chunk) ||
            (chunk.data == (const uint8_t *)png + SIGNATURE + 8 &&
             (!is(&chunk, "IHDR") || chunk.len != HEAD))) {
            apng->out->len = before;
            return err_set(err, RC_INVALID, "animation: frame %u is no whole PNG", apng->added);
        }
        if (!take_chunk(apng, &chunk, &has_data)) {
            apng->out->len = before;
            return err_set(err, RC_INVALID,
                           "animation: frame %u has another size, depth or palette than the first",
                           apng->added);
        }
    }
    if (!has_data) {
        apng->out->len = before;
        return err_set(err, RC_INVALID, "animation: frame %u has no pixels", apng->added);
    }
    apng->added++;
    return RC_OK;
}

void apng_end(struct apng *apng)
{
    assert(apng->added == apng->frames);
    write_chunk(apng->out, "IEND", NULL, 0, NULL, 0);
}
