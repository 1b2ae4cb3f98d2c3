/** @file
 * A layout from bytes; the format is described in layout_encode.c.
 *
 * Decoding runs the same parser twice: the first run checks everything and adds up the memory, the
 * second fills the one block. A count is believed only if the bytes left could hold that many, so
 * a short message cannot ask for much memory.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/data/layout_p.h"

struct parser {
    const uint8_t *at, *end;
    uint8_t *block; /**< NULL in the first run. */
    size_t used;
    uint64_t chunks; /**< Of all datasets so far. */
    char where[96];  /**< "dataset 'vil': ", for errors. */
    struct err *err;
    bool failed; /**< Sticky: after it everything reads as zero. */
};

static void __attribute__((format(printf, 2, 3))) fail(struct parser *parser, const char *fmt, ...)
{
    char text[200];
    va_list args;

    if (parser->failed) {
        return;
    }
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    parser->failed = true;
    (void)err_set(parser->err, RC_CORRUPT, "layout: %s%s", parser->where, text);
}

static const uint8_t *get_bytes(struct parser *parser, size_t len, const char *field)
{
    const uint8_t *bytes = parser->at;

    if (parser->failed || (size_t)(parser->end - parser->at) < len) {
        fail(parser, "ends within '%s'", field);
        return NULL;
    }
    parser->at += len;
    return bytes;
}

static uint64_t get_le(struct parser *parser, unsigned len, const char *field)
{
    const uint8_t *bytes = get_bytes(parser, len, field);
    uint64_t value = 0;

    for (unsigned i = 0; bytes != NULL && i < len; i++) {
        value |= (uint64_t)bytes[i] << (8 * i);
    }
    return value;
}

static uint64_t get_varint(struct parser *parser, const char *field)
{
    uint64_t value = 0;

    for (unsigned shift = 0; shift < 64; shift += 7) {
        const uint8_t *byte = get_bytes(parser, 1, field);

        if (byte == NULL) {
            return 0;
        }
        if (shift == 63 && *byte > 1) {
            break;
        }
        value |= (uint64_t)(*byte & 0x7F) << shift;
        if (*byte < 0x80) {
            return value;
        }
    }
    fail(parser, "'%s' is over 64 bits", field);
    return 0;
}

/** A count that the remaining bytes could hold at `least` bytes each. */
static uint64_t get_count(struct parser *parser, unsigned len, uint64_t max, size_t least,
                          const char *field)
{
    uint64_t count = get_le(parser, len, field);

    if (count > max || count > (size_t)(parser->end - parser->at) / least) {
        fail(parser, "'%s' cannot be %" PRIu64, field, count);
        return 0;
    }
    return count;
}

/** Memory of the block, zeroed; NULL in the first run, which only adds it up. */
static void *take(struct parser *parser, size_t count, size_t size)
{
    size_t at = size > 1 ? (parser->used + 7) / 8 * 8 : parser->used;

    /* No overflow: a count is bounded by the message, a size by our own structs. */
    parser->used = at + count * size;
    return parser->block != NULL ? parser->block + at : NULL;
}

/** Points into the message; not terminated. */
static const char *get_span(struct parser *parser, size_t max, bool lines, size_t *ret_len,
                            const char *field)
{
    size_t len = get_le(parser, 2, field);
    const char *bytes = (const char *)get_bytes(parser, len, field);

    if (bytes != NULL && (len > max || !layout_text_ok(bytes, len, lines))) {
        fail(parser, "'%s' is too long or not clean text", field);
    }
    *ret_len = parser->failed ? 0 : len;
    return parser->failed ? "" : bytes;
}

/** Still in the message in the first run; in the block, terminated, in the second. */
static const char *get_text(struct parser *parser, size_t max, bool lines, size_t *ret_len,
                            const char *field)
{
    const char *bytes = get_span(parser, max, lines, ret_len, field);
    char *copy = take(parser, *ret_len + 1, 1);

    if (copy == NULL) {
        return bytes;
    }
    memcpy(copy, bytes, *ret_len);
    copy[*ret_len] = '\0';
    return copy;
}

static void get_small_text(struct parser *parser, char *to, size_t size, const char *field)
{
    size_t len;
    const char *text = get_span(parser, size - 1, true, &len, field);

    memcpy(to, text, len);
    to[len] = '\0';
}

static const struct layout_attr *get_attrs(struct parser *parser, uint32_t *ret_count)
{
    uint32_t count = (uint32_t)get_count(parser, 4, UINT32_MAX, 6, "attributes");
    struct layout_attr *attrs = take(parser, count, sizeof(*attrs));
    size_t len;

    for (uint32_t i = 0; i < count && !parser->failed; i++) {
        struct layout_attr attr;

        attr.name = get_text(parser, LAYOUT_VALUE_MAX, true, &len, "attribute name");
        attr.dtype = get_text(parser, LAYOUT_VALUE_MAX, true, &len, "attribute type");
        attr.value = get_text(parser, LAYOUT_VALUE_MAX, true, &len, "attribute value");
        if (attrs != NULL) {
            attrs[i] = attr;
        }
    }
    *ret_count = count;
    return attrs;
}

static void get_chunk_table(struct parser *parser, struct layout_dataset *dataset)
{
    uint64_t count = get_count(parser, 8, LAYOUT_CHUNKS_MAX, 1, "chunks"), expected = 0;
    struct layout_chunk *chunks = take(parser, count, sizeof(*chunks));

    parser->chunks += count;
    if (parser->chunks > LAYOUT_CHUNKS_MAX) {
        fail(parser, "more than %d chunks in all", LAYOUT_CHUNKS_MAX);
    }
    for (uint64_t i = 0; i < count && !parser->failed; i++) {
        struct layout_chunk chunk = {.address = LAYOUT_UNALLOCATED};
        uint64_t size = get_varint(parser, "chunk size"), mask = 0;

        if ((size & 1) == 0) {
            uint64_t zigzag = get_varint(parser, "chunk address");

            mask = get_varint(parser, "chunk filter mask");
            chunk.address = expected + (zigzag >> 1 ^ (0 - (zigzag & 1)));
            expected = chunk.address + (size >> 1);
            if (chunk.address == LAYOUT_UNALLOCATED) {
                fail(parser, "address of chunk %" PRIu64, i);
            }
        }
        if (size >> 1 > UINT32_MAX || mask > UINT32_MAX) {
            fail(parser, "size or mask of chunk %" PRIu64, i);
        }
        chunk.size = (uint32_t)(size >> 1);
        chunk.filter_mask = (uint32_t)mask;
        if (chunks != NULL) {
            chunks[i] = chunk;
        }
    }
    dataset->chunk_count = count;
    dataset->chunks = chunks;
}

static void get_chunking(struct parser *parser, struct layout_dataset *dataset)
{
    uint64_t bytes = MAX_OF(dataset->dtype.size, 1u), grid[LAYOUT_RANK_MAX], cells;

    if (dataset->rank == 0) {
        fail(parser, "chunks of a scalar");
    }
    for (unsigned axis = 0; axis < dataset->rank; axis++) {
        dataset->chunk_dims[axis] = get_le(parser, 8, "chunk shape");
        if (dataset->chunk_dims[axis] == 0 ||
            __builtin_mul_overflow(bytes, dataset->chunk_dims[axis], &bytes) ||
            bytes > UINT32_MAX) {
            fail(parser, "a chunk is empty or over 4 GiB");
        }
    }
    dataset->filter_count = (uint32_t)get_count(parser, 1, LAYOUT_FILTERS_MAX, 6, "filters");
    for (unsigned i = 0; i < dataset->filter_count; i++) {
        dataset->filters[i].id = (int32_t)(uint32_t)get_le(parser, 4, "filter id");
        get_small_text(parser, dataset->filters[i].name, sizeof(dataset->filters[i].name),
                       "filter name");
    }
    get_chunk_table(parser, dataset);
    if (!parser->failed && dataset->chunk_count > 0 &&
        (!layout_grid(dataset, grid, &cells) || cells != dataset->chunk_count)) {
        fail(parser, "%" PRIu64 " chunks do not match its shape", dataset->chunk_count);
    }
}

static void get_dtype(struct parser *parser, struct layout_dtype *dtype)
{
    uint64_t class_ = get_le(parser, 1, "class"), flags;

    if (class_ > LAYOUT_OTHER) {
        fail(parser, "class %" PRIu64, class_);
        class_ = LAYOUT_OTHER;
    }
    dtype->class_ = (enum layout_class)class_;
    dtype->size = (uint32_t)get_le(parser, 4, "element size");
    flags = get_le(parser, 1, "type flags");
    if (flags > (LAYOUT_FLAG_SIGNED | LAYOUT_FLAG_BIG_ENDIAN | LAYOUT_FLAG_PLAIN)) {
        fail(parser, "type flags %" PRIu64, flags);
    }
    dtype->is_signed = (flags & LAYOUT_FLAG_SIGNED) != 0;
    dtype->big_endian = (flags & LAYOUT_FLAG_BIG_ENDIAN) != 0;
    dtype->plain = (flags & LAYOUT_FLAG_PLAIN) != 0;
    get_small_text(parser, dtype->text, sizeof(dtype->text), "type");
}

static void get_shape(struct parser *parser, struct layout_dataset *dataset)
{
    uint64_t elements, bytes;

    dataset->rank = (uint32_t)get_count(parser, 1, LAYOUT_RANK_MAX, 8, "rank");
    for (unsigned axis = 0; axis < dataset->rank; axis++) {
        dataset->dims[axis] = get_le(parser, 8, "shape");
    }
    if (!parser->failed &&
        (!layout_count(dataset, 0, &elements) ||
         __builtin_mul_overflow(elements, MAX_OF(dataset->dtype.size, 1u), &bytes))) {
        fail(parser, "shape overflows");
    }
}

static void get_name(struct parser *parser, uint32_t index, struct layout_dataset *dataset,
                     const char **last, size_t *last_len)
{
    size_t len;

    (void)snprintf(parser->where, sizeof(parser->where), "dataset %" PRIu32 ": ", index);
    dataset->name = get_text(parser, LAYOUT_NAME_MAX, false, &len, "name");
    if (parser->failed) {
        return;
    }
    if (!layout_name_ok(dataset->name, len)) {
        fail(parser, "name is not a path");
        return;
    }
    (void)snprintf(parser->where, sizeof(parser->where),
                   "dataset '%.*s': ", (int)MIN_OF(len, (size_t)64), dataset->name);
    if (index > 0) {
        int order = memcmp(*last, dataset->name, MIN_OF(*last_len, len));

        if (order > 0 || (order == 0 && *last_len >= len)) {
            fail(parser, "out of order or twice");
        }
    }
    *last = dataset->name;
    *last_len = len;
}

static void get_dataset(struct parser *parser, struct layout_dataset *dataset)
{
    const uint8_t *fill;
    uint64_t storage;

    get_dtype(parser, &dataset->dtype);
    get_shape(parser, dataset);
    storage = get_le(parser, 1, "storage");
    if (storage > LAYOUT_VIRTUAL) {
        fail(parser, "storage %" PRIu64, storage);
        return;
    }
    dataset->storage = (enum layout_storage)storage;
    dataset->address = get_le(parser, 8, "address");
    dataset->size = get_le(parser, 8, "size");
    fill = get_bytes(parser, sizeof(dataset->fill), "fill value");
    if (fill != NULL) {
        memcpy(dataset->fill, fill, sizeof(dataset->fill));
    }
    dataset->attrs = get_attrs(parser, &dataset->attr_count);
    if (dataset->storage == LAYOUT_CHUNKED && !parser->failed) {
        get_chunking(parser, dataset);
    }
}

static void get_layout(struct parser *parser, struct layout *layout)
{
    const uint8_t *magic = get_bytes(parser, sizeof(layout_magic), "magic");
    struct layout_dataset *datasets;
    const char *last = NULL;
    size_t last_len = 0;

    if (magic != NULL && memcmp(magic, layout_magic, sizeof(layout_magic)) != 0) {
        fail(parser, "not a layout");
    }
    if (get_le(parser, 2, "version") != LAYOUT_VERSION) {
        fail(parser, "unknown version");
    }
    layout->file_size = get_le(parser, 8, "file size");
    layout->skipped = (uint32_t)get_le(parser, 4, "skipped");
    layout->attrs = get_attrs(parser, &layout->attr_count);
    layout->dataset_count = (uint32_t)get_count(parser, 4, LAYOUT_DATASETS_MAX, 32, "datasets");
    datasets = take(parser, layout->dataset_count, sizeof(*datasets));
    layout->datasets = datasets;
    for (uint32_t i = 0; i < layout->dataset_count && !parser->failed; i++) {
        struct layout_dataset dataset = {0};

        get_name(parser, i, &dataset, &last, &last_len);
        if (!parser->failed) {
            get_dataset(parser, &dataset);
        }
        if (datasets != NULL) {
            datasets[i] = dataset;
        }
    }
    parser->where[0] = '\0';
    if (parser->at != parser->end) {
        fail(parser, "bytes after its end");
    }
}

enum rc layout_decode(const void *bytes, size_t len, struct layout **ret_layout, struct err *err)
{
    struct parser parser = {.at = bytes, .end = (const uint8_t *)bytes + len, .err = err};
    scoped(layout_free) struct layout *layout = NULL;
    struct layout checked = {0};

    parser.used = sizeof(struct layout);
    get_layout(&parser, &checked);
    if (parser.failed) {
        return err->rc;
    }
    layout = mem_try(1, parser.used);
    if (layout == NULL) {
        return err_set(err, RC_LIMIT, "layout: no memory for %zu bytes", parser.used);
    }
    memset(layout, 0, parser.used);
    parser = (struct parser){.at = bytes, .end = (const uint8_t *)bytes + len, .err = err};
    parser.block = (uint8_t *)layout;
    parser.used = sizeof(struct layout);
    get_layout(&parser, layout);
    *ret_layout = TAKE(layout);
    return RC_OK;
}
