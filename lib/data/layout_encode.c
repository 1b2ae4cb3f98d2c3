/** @file
 * A layout as bytes; layout_decode.c reads them back. The format, little-endian throughout:
 *
 *     "SVLY" u16 version, u64 file_size, u32 skipped, ATTRS, u32 datasets, DATASET...
 *     DATASET = TEXT name, u8 class, u32 size, u8 flags, TEXT dtype, u8 rank, u64 dims[rank],
 *               u8 storage, u64 address, u64 size, u8 fill[8], ATTRS,
 *               chunked only: u64 chunk_dims[rank], u8 filters, (i32 id, TEXT name)...,
 *                             u64 chunks, CHUNK...
 *     CHUNK   = varint size << 1 | unallocated; if allocated: varint of the distance (zigzag) from
 *               the end of the chunk before, varint filter mask
 *     ATTRS   = u32 count, (TEXT name, TEXT dtype, TEXT value)...
 *     TEXT    = u16 length, bytes
 */
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/data/layout_p.h"

const uint8_t layout_magic[4] = {'S', 'V', 'L', 'Y'};

/* Texts */

/** Whether a terminal or a log line would act on the character that starts here. */
static bool is_control(const char *at, size_t char_len)
{
    unsigned char first = (unsigned char)at[0];

    return first < 0x20 || first == 0x7F ||
           (char_len == 2 && first == 0xC2 && (unsigned char)at[1] < 0xA0);
}

bool layout_text_ok(const char *bytes, size_t len, bool lines)
{
    for (size_t i = 0, n; i < len; i += n) {
        n = str_utf8_len(bytes + i, len - i);
        if (n == 0) {
            return false;
        }
        if (is_control(bytes + i, n) &&
            !(lines && (bytes[i] == '\n' || bytes[i] == '\t' || bytes[i] == '\r'))) {
            return false;
        }
    }
    return true;
}

bool layout_name_ok(const char *name, size_t len)
{
    size_t start = 0;

    if (len == 0 || len > LAYOUT_NAME_MAX || !layout_text_ok(name, len, false)) {
        return false;
    }
    for (size_t i = 0; i <= len; i++) {
        if (i == len || name[i] == '/') {
            size_t part = i - start;

            if (part == 0 || (part == 1 && name[start] == '.') ||
                (part == 2 && name[start] == '.' && name[start + 1] == '.')) {
                return false;
            }
            start = i + 1;
        }
    }
    return true;
}

/* Encoding */

static void put_le(struct strbuf *out, uint64_t value, unsigned bytes)
{
    uint8_t raw[8];

    for (unsigned i = 0; i < bytes; i++) {
        raw[i] = (uint8_t)(value >> (8 * i));
    }
    strbuf_add(out, raw, bytes);
}

static void put_varint(struct strbuf *out, uint64_t value)
{
    while (value >= 0x80) {
        strbuf_putc(out, (char)(value | 0x80));
        value >>= 7;
    }
    strbuf_putc(out, (char)value);
}

static void put_text(struct strbuf *out, const char *text, size_t len)
{
    put_le(out, len, 2);
    strbuf_add(out, text, len);
}

/** A text of the file's, made fit to be shown and at most `max` bytes. */
static void put_cleaned(struct strbuf *out, const char *text, size_t max)
{
    static const char bad[] = "\xEF\xBF\xBD";
    size_t len = text != NULL ? strlen(text) : 0, cut = 0;
    char clean[LAYOUT_VALUE_MAX];

    max = MIN_OF(max, sizeof(clean));
    for (size_t i = 0; i < len;) {
        size_t n = str_utf8_len(text + i, len - i);
        bool keep = n > 0 && layout_text_ok(text + i, n, true);
        size_t add = keep ? n : sizeof(bad) - 1;

        if (add > max - cut) {
            break;
        }
        memcpy(clean + cut, keep ? text + i : bad, add);
        cut += add;
        i += n > 0 ? n : 1;
    }
    put_text(out, clean, cut);
}

static void put_attrs(struct strbuf *out, const struct layout_attr *attrs, uint32_t count)
{
    put_le(out, count, 4);
    for (uint32_t i = 0; i < count; i++) {
        put_cleaned(out, attrs[i].name, LAYOUT_VALUE_MAX);
        put_cleaned(out, attrs[i].dtype, LAYOUT_VALUE_MAX);
        put_cleaned(out, attrs[i].value, LAYOUT_VALUE_MAX);
    }
}

static void put_chunks(struct strbuf *out, const struct layout_chunk *chunks, uint64_t count)
{
    uint64_t expected = 0;

    put_le(out, count, 8);
    for (uint64_t i = 0; i < count; i++) {
        const struct layout_chunk *chunk = &chunks[i];
        bool unallocated = chunk->address == LAYOUT_UNALLOCATED;

        put_varint(out, (uint64_t)chunk->size << 1 | unallocated);
        if (!unallocated) {
            uint64_t distance = chunk->address - expected; /* modulo 2^64, as the decoder adds */

            put_varint(out, distance << 1 ^ (uint64_t)((int64_t)distance >> 63));
            put_varint(out, chunk->filter_mask);
            expected = chunk->address + chunk->size;
        }
    }
}

static void put_dataset(struct strbuf *out, const struct layout_dataset *dataset)
{
    const struct layout_dtype *dtype = &dataset->dtype;

    put_text(out, dataset->name, strlen(dataset->name));
    put_le(out, dtype->class_, 1);
    put_le(out, dtype->size, 4);
    put_le(out,
           (dtype->is_signed ? LAYOUT_FLAG_SIGNED : 0u) |
               (dtype->big_endian ? LAYOUT_FLAG_BIG_ENDIAN : 0u) |
               (dtype->plain ? LAYOUT_FLAG_PLAIN : 0u),
           1);
    put_cleaned(out, dtype->text, sizeof(dtype->text) - 1);
    put_le(out, dataset->rank, 1);
    for (unsigned axis = 0; axis < dataset->rank; axis++) {
        put_le(out, dataset->dims[axis], 8);
    }
    put_le(out, dataset->storage, 1);
    put_le(out, dataset->address, 8);
    put_le(out, dataset->size, 8);
    strbuf_add(out, dataset->fill, sizeof(dataset->fill));
    put_attrs(out, dataset->attrs, dataset->attr_count);
    if (dataset->storage != LAYOUT_CHUNKED) {
        return;
    }
    for (unsigned axis = 0; axis < dataset->rank; axis++) {
        put_le(out, dataset->chunk_dims[axis], 8);
    }
    put_le(out, dataset->filter_count, 1);
    for (unsigned i = 0; i < dataset->filter_count; i++) {
        put_le(out, (uint32_t)dataset->filters[i].id, 4);
        put_cleaned(out, dataset->filters[i].name, sizeof(dataset->filters[i].name) - 1);
    }
    put_chunks(out, dataset->chunks, dataset->chunk_count);
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(const struct layout_dataset *const *)a)->name,
                  (*(const struct layout_dataset *const *)b)->name);
}

void layout_encode(const struct layout *layout, struct strbuf *out)
{
    scoped(free) const struct layout_dataset **order =
        mem_resize(NULL, layout->dataset_count, sizeof(const struct layout_dataset *));

    for (uint32_t i = 0; i < layout->dataset_count; i++) {
        order[i] = &layout->datasets[i];
    }
    qsort(order, layout->dataset_count, sizeof(*order), by_name);
    strbuf_add(out, layout_magic, sizeof(layout_magic));
    put_le(out, LAYOUT_VERSION, 2);
    put_le(out, layout->file_size, 8);
    put_le(out, layout->skipped, 4);
    put_attrs(out, layout->attrs, layout->attr_count);
    put_le(out, layout->dataset_count, 4);
    for (uint32_t i = 0; i < layout->dataset_count; i++) {
        put_dataset(out, order[i]);
    }
}
