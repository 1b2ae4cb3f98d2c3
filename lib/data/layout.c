/** @file
 * What can be said of a layout without reading data: sizes, who can decode it, and how to show it.
 */
#include "lib/data/layout.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/data/layout_p.h"

void layout_free(struct layout *layout)
{
    free(layout);
}

static int name_order(const void *key, const void *item)
{
    return strcmp(key, ((const struct layout_dataset *)item)->name);
}

const struct layout_dataset *layout_find(const struct layout *layout, const char *name)
{
    if (layout->dataset_count == 0) {
        return NULL;
    }
    return bsearch(name, layout->datasets, layout->dataset_count, sizeof(*layout->datasets),
                   name_order);
}

bool layout_count(const struct layout_dataset *dataset, unsigned from_axis, uint64_t *ret_count)
{
    uint64_t count = 1;
    bool zero = false;

    /* An axis of length zero makes the product zero, however large the others are. */
    for (unsigned axis = from_axis; axis < dataset->rank; axis++) {
        if (dataset->dims[axis] == 0) {
            zero = true;
        } else if (__builtin_mul_overflow(count, dataset->dims[axis], &count)) {
            return false;
        }
    }
    *ret_count = zero ? 0 : count;
    return true;
}

uint64_t layout_elements(const struct layout_dataset *dataset)
{
    uint64_t count;

    return layout_count(dataset, 0, &count) ? count : 0;
}

uint64_t layout_row_bytes(const struct layout_dataset *dataset)
{
    uint64_t count, bytes;

    if (dataset->rank == 0 || !layout_count(dataset, 1, &count) ||
        __builtin_mul_overflow(count, dataset->dtype.size, &bytes)) {
        return 0;
    }
    return bytes;
}

bool layout_grid(const struct layout_dataset *dataset, uint64_t grid[LAYOUT_RANK_MAX],
                 uint64_t *ret_cells)
{
    uint64_t cells = 1;
    bool zero = false;

    for (unsigned axis = 0; axis < dataset->rank; axis++) {
        uint64_t dim = dataset->dims[axis], step = dataset->chunk_dims[axis];

        if (step == 0) {
            return false;
        }
        grid[axis] = dim / step + (dim % step != 0);
        if (grid[axis] == 0) {
            zero = true;
        } else if (__builtin_mul_overflow(cells, grid[axis], &cells)) {
            return false;
        }
    }
    *ret_cells = zero ? 0 : cells;
    return true;
}

static const char *filter_name(const struct layout_filter *filter, char text[24])
{
    static const char *const known[] = {NULL,   "deflate", "shuffle",    "fletcher32",
                                        "szip", "nbit",    "scaleoffset"};

    if (filter->id > 0 && (size_t)filter->id < sizeof(known) / sizeof(known[0])) {
        return known[filter->id];
    }
    if (filter->name[0] != '\0') {
        return filter->name;
    }
    (void)snprintf(text, 24, "filter-%" PRId32, filter->id);
    return text;
}

static enum rc direct_type(const struct layout_dtype *dtype, struct err *err)
{
    uint32_t size = dtype->size;

    switch (dtype->class_) {
    case LAYOUT_INTEGER:
    case LAYOUT_FLOAT:
        if (dtype->plain && (size == 2 || size == 4 || size == 8 ||
                             (size == 1 && dtype->class_ == LAYOUT_INTEGER))) {
            return RC_OK;
        }
        break;
    case LAYOUT_STRING:
        if (size > 0) {
            return RC_OK;
        }
        break;
    case LAYOUT_OTHER:
        break;
    }
    return err_set(err, RC_UNSUPPORTED, "type '%s'", dtype->text);
}

static enum rc direct_chunks(const struct layout_dataset *dataset, struct err *err)
{
    uint64_t grid[LAYOUT_RANK_MAX], cells;
    char text[24];

    for (unsigned i = 0; i < dataset->filter_count; i++) {
        const struct layout_filter *filter = &dataset->filters[i];

        if (filter->id < LAYOUT_DEFLATE || filter->id > LAYOUT_FLETCHER32) {
            return err_set(err, RC_UNSUPPORTED, "filter '%s' (%" PRId32 ")",
                           filter_name(filter, text), filter->id);
        }
    }
    if (!layout_grid(dataset, grid, &cells) || cells != dataset->chunk_count) {
        return err_set(err, RC_UNSUPPORTED, "a chunk table that was left out");
    }
    return RC_OK;
}

enum rc layout_direct(const struct layout_dataset *dataset, struct err *err)
{
    enum rc rc = direct_type(&dataset->dtype, err);

    if (rc != RC_OK) {
        return rc;
    }
    switch (dataset->storage) {
    case LAYOUT_CONTIGUOUS:
        return RC_OK;
    case LAYOUT_CHUNKED:
        return direct_chunks(dataset, err);
    case LAYOUT_COMPACT:
        return err_set(err, RC_UNSUPPORTED, "compact storage");
    case LAYOUT_VIRTUAL:
        break;
    }
    return err_set(err, RC_UNSUPPORTED, "virtual storage, or external files");
}

void layout_describe(const struct layout_dataset *dataset, struct strbuf *out)
{
    char text[24];

    switch (dataset->storage) {
    case LAYOUT_COMPACT:
        strbuf_puts(out, "compact");
        return;
    case LAYOUT_VIRTUAL:
        strbuf_puts(out, "virtual");
        return;
    case LAYOUT_CONTIGUOUS:
        if (dataset->address == LAYOUT_UNALLOCATED) {
            strbuf_puts(out, "contiguous, never written");
        } else {
            strbuf_printf(out, "contiguous at %" PRIu64, dataset->address);
        }
        return;
    case LAYOUT_CHUNKED:
        break;
    }
    strbuf_puts(out, "chunked ");
    for (unsigned axis = 0; axis < dataset->rank; axis++) {
        strbuf_printf(out, "%s%" PRIu64, axis > 0 ? "x" : "", dataset->chunk_dims[axis]);
    }
    for (unsigned i = 0; i < dataset->filter_count; i++) {
        strbuf_puts(out, i == 0 ? " filters " : ",");
        strbuf_puts(out, filter_name(&dataset->filters[i], text));
    }
}

static void json_attrs(const struct layout_attr *attrs, uint32_t count, struct strbuf *out)
{
    strbuf_puts(out, "\"attributes\":[");
    for (uint32_t i = 0; i < count; i++) {
        strbuf_puts(out, i > 0 ? ",{\"name\":" : "{\"name\":");
        strbuf_json(out, attrs[i].name);
        strbuf_puts(out, ",\"dtype\":");
        strbuf_json(out, attrs[i].dtype);
        strbuf_puts(out, ",\"value\":");
        strbuf_json(out, attrs[i].value);
        strbuf_putc(out, '}');
    }
    strbuf_putc(out, ']');
}

static void json_dims(const char *key, const uint64_t *dims, unsigned rank, struct strbuf *out)
{
    strbuf_printf(out, ",\"%s\":[", key);
    for (unsigned axis = 0; axis < rank; axis++) {
        strbuf_printf(out, "%s%" PRIu64, axis > 0 ? "," : "", dims[axis]);
    }
    strbuf_putc(out, ']');
}

static void json_chunked(const struct layout_dataset *dataset, struct strbuf *out)
{
    uint64_t grid[LAYOUT_RANK_MAX], cells;
    char text[24];

    json_dims("chunks", dataset->chunk_dims, dataset->rank, out);
    if (layout_grid(dataset, grid, &cells)) {
        strbuf_printf(out, ",\"chunk_count\":%" PRIu64, cells);
    }
    strbuf_puts(out, ",\"filters\":[");
    for (unsigned i = 0; i < dataset->filter_count; i++) {
        strbuf_puts(out, i > 0 ? "," : "");
        strbuf_json(out, filter_name(&dataset->filters[i], text));
    }
    strbuf_putc(out, ']');
}

static void json_dataset(const struct layout_dataset *dataset, struct strbuf *out)
{
    static const char *const storages[] = {"compact", "contiguous", "chunked", "virtual"};
    struct strbuf words = {0};
    struct err why;
    bool direct = layout_direct(dataset, &why) == RC_OK;

    strbuf_puts(out, "{\"name\":");
    strbuf_json(out, dataset->name);
    strbuf_puts(out, ",\"dtype\":");
    strbuf_json(out, dataset->dtype.text);
    json_dims("shape", dataset->dims, dataset->rank, out);
    strbuf_printf(out, ",\"storage\":\"%s\",\"description\":", storages[dataset->storage]);
    layout_describe(dataset, &words);
    strbuf_json(out, strbuf_text(&words));
    strbuf_done(&words);
    if (dataset->storage == LAYOUT_CHUNKED) {
        json_chunked(dataset, out);
    } else if (dataset->storage == LAYOUT_CONTIGUOUS && dataset->address != LAYOUT_UNALLOCATED) {
        strbuf_printf(out, ",\"offset\":%" PRIu64, dataset->address);
    }
    strbuf_printf(out, ",\"stored_bytes\":%" PRIu64 ",\"direct\":%s", dataset->size,
                  direct ? "true" : "false");
    if (!direct) {
        strbuf_puts(out, ",\"indirect_because\":");
        strbuf_json(out, why.text);
    }
    strbuf_putc(out, ',');
    json_attrs(dataset->attrs, dataset->attr_count, out);
    strbuf_putc(out, '}');
}

void layout_json(const struct layout *layout, struct strbuf *out)
{
    strbuf_printf(out, "{\"file_size\":%" PRIu64 ",\"datasets\":[", layout->file_size);
    for (uint32_t i = 0; i < layout->dataset_count; i++) {
        strbuf_puts(out, i > 0 ? "," : "");
        json_dataset(&layout->datasets[i], out);
    }
    strbuf_printf(out, "],\"skipped\":%" PRIu32 ",", layout->skipped);
    json_attrs(layout->attrs, layout->attr_count, out);
    strbuf_putc(out, '}');
}
