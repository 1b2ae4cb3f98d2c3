/** @file
 * Planning: which bytes of the file hold the rows, and whether they can.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/data/chunk.h"
#include "lib/data/layout_p.h"
#include "lib/data/slab_p.h"

enum rc slab_chunk_error(const struct layout_dataset *dataset, uint64_t index, struct err *err,
                         const char *fmt, ...)
{
    uint64_t cells[LAYOUT_RANK_MAX], total;
    char at[8 * 21 + 1], text[160];
    size_t len = 0;
    uint64_t rest = index, place[LAYOUT_RANK_MAX];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    (void)layout_grid(dataset, cells, &total);
    for (unsigned axis = dataset->rank; axis-- > 0;) {
        place[axis] = rest % cells[axis];
        rest /= cells[axis];
    }
    for (unsigned axis = 0; axis < dataset->rank; axis++) {
        len += (size_t)snprintf(at + len, sizeof(at) - len, "%s%" PRIu64, axis > 0 ? "," : "",
                                place[axis]);
    }
    return err_set(err, RC_CORRUPT, "dataset '%s' chunk %" PRIu64 " (%s): %s", dataset->name, index,
                   at, text);
}

void slab_find_grid(const struct layout_dataset *dataset, uint64_t first, uint64_t count,
                    struct slab_grid *grid)
{
    uint64_t cells;

    *grid = (struct slab_grid){.per_layer = 1,
                               .chunk_bytes = dataset->dtype.size,
                               .whole_rows = true,
                               .whole_frames = dataset->rank == 4};
    (void)layout_grid(dataset, grid->cells, &cells); /* layout_direct() has seen that it holds */
    for (unsigned axis = 0; axis < dataset->rank; axis++) {
        grid->chunk_bytes *= dataset->chunk_dims[axis];
        if (axis > 0) {
            grid->per_layer *= grid->cells[axis];
            grid->whole_rows &= dataset->chunk_dims[axis] == dataset->dims[axis];
            grid->whole_frames &= axis == 3 || dataset->chunk_dims[axis] == dataset->dims[axis];
        }
    }
    if (count > 0) {
        grid->begin = first / dataset->chunk_dims[0] * grid->per_layer;
        grid->end = ((first + count - 1) / dataset->chunk_dims[0] + 1) * grid->per_layer;
    }
}

static bool within_file(uint64_t offset, uint64_t len, uint64_t file_size)
{
    uint64_t end;

    return !__builtin_add_overflow(offset, len, &end) && end <= file_size;
}

/** Refuses chunks that cannot be; counts those that were written. */
static enum rc check_chunks(const struct slab_plan *plan, const struct slab_grid *grid,
                            uint64_t file_size, size_t *ret_written, struct err *err)
{
    const struct layout_dataset *dataset = plan->dataset;
    size_t written = 0;

    for (uint64_t i = grid->begin; i < grid->end; i++) {
        const struct layout_chunk *chunk = &dataset->chunks[i];

        if (chunk->address == LAYOUT_UNALLOCATED) {
            continue;
        }
        if (chunk->size == 0) {
            return slab_chunk_error(dataset, i, err, "stores nothing");
        }
        if (!within_file(chunk->address, chunk->size, file_size)) {
            return slab_chunk_error(dataset, i, err,
                                    "its %" PRIu32 " bytes at %" PRIu64
                                    " lie beyond the end of the file (%" PRIu64 " bytes)",
                                    chunk->size, chunk->address, file_size);
        }
        if (chunk_is_verbatim(dataset->filter_count, chunk->filter_mask) &&
            chunk->size != grid->chunk_bytes) {
            return slab_chunk_error(dataset, i, err, "stores %" PRIu32 " bytes, not %" PRIu64,
                                    chunk->size, grid->chunk_bytes);
        }
        written++;
    }
    *ret_written = written;
    return RC_OK;
}

struct span {
    uint64_t offset, len;
};

static int by_offset(const void *a, const void *b)
{
    const struct span *one = a, *two = b;

    return (one->offset > two->offset) - (one->offset < two->offset);
}

/** The written chunks of the grid, in the order of the file. */
static void collect_spans(const struct layout_dataset *dataset, const struct slab_grid *grid,
                          struct span *spans)
{
    bool sorted = true;
    size_t count = 0;

    for (uint64_t i = grid->begin; i < grid->end; i++) {
        const struct layout_chunk *chunk = &dataset->chunks[i];

        if (chunk->address != LAYOUT_UNALLOCATED) {
            spans[count] = (struct span){chunk->address, chunk->size};
            sorted = sorted && (count == 0 || spans[count - 1].offset <= chunk->address);
            count++;
        }
    }
    if (!sorted) {
        qsort(spans, count, sizeof(*spans), by_offset);
    }
}

/** Merge spans in place over gaps of up to `max_gap`; answers how many remain, and the bytes that
 * at least one chunk covers. */
static size_t merge_spans(struct span *spans, size_t count, uint64_t max_gap, uint64_t *ret_needed)
{
    uint64_t covered_to = 0, needed = 0;
    size_t merged = 0;

    for (size_t i = 0; i < count; i++) {
        uint64_t start = spans[i].offset, end = start + spans[i].len;

        if (end > covered_to) {
            needed += end - MAX_OF(start, covered_to);
        }
        if (merged > 0 && (start <= covered_to || start - covered_to <= max_gap)) {
            struct span *last = &spans[merged - 1];

            last->len = MAX_OF(last->offset + last->len, end) - last->offset;
        } else {
            spans[merged++] = spans[i];
        }
        covered_to = MAX_OF(covered_to, end);
    }
    *ret_needed = needed;
    return merged;
}

static enum rc set_ranges(struct slab_plan *plan, const struct span *spans, size_t count,
                          struct err *err)
{
    plan->ranges = mem_try(count, sizeof(*plan->ranges));
    if (plan->ranges == NULL) {
        return err_set(err, RC_LIMIT, "dataset '%s': no memory for %zu ranges", plan->dataset->name,
                       count);
    }
    for (size_t i = 0; i < count; i++) {
        plan->ranges[i] = (struct slab_range){spans[i].offset, spans[i].len, plan->fetch_bytes};
        plan->fetch_bytes += spans[i].len;
    }
    plan->range_count = count;
    return RC_OK;
}

/** The fill value is known as far as its first eight bytes. */
static enum rc check_fill(const struct layout_dataset *dataset, struct err *err)
{
    if (dataset->dtype.size > sizeof(dataset->fill)) {
        return err_set(err, RC_UNSUPPORTED, "fill value of type '%s'", dataset->dtype.text);
    }
    return RC_OK;
}

/** Chunks are decoded to where they belong, or to a buffer first; to frames they may be turned in
 * another one. */
static void set_scratch(struct slab_plan *plan, const struct slab_grid *grid)
{
    const struct layout_dataset *dataset = plan->dataset;
    const uint64_t depth = dataset->chunk_dims[0];

    if (plan->count == 0) {
        return;
    }
    const bool in_place =
        plan->by_frames ? depth == 1 && slab_is_frame(dataset, grid)
                        : grid->whole_rows && plan->first % depth == 0 && plan->count % depth == 0;
    const bool straight = (in_place || dataset->filter_count == 0) && plan->all_written;

    plan->scratch_bytes =
        chunk_scratch_bytes(dataset->filters, dataset->filter_count, grid->chunk_bytes) +
        (straight ? 0 : grid->chunk_bytes) +
        (plan->by_frames ? slab_turned_bytes(dataset, grid) : 0);
}

static enum rc plan_chunked(struct slab_plan *plan, uint64_t file_size, uint64_t max_gap,
                            struct err *err)
{
    const struct layout_dataset *dataset = plan->dataset;
    scoped(free) struct span *spans = NULL;
    struct slab_grid grid;
    size_t written = 0;
    enum rc rc;

    slab_find_grid(dataset, plan->first, plan->count, &grid);
    rc = check_chunks(plan, &grid, file_size, &written, err);
    if (rc == RC_OK && written < grid.end - grid.begin) {
        rc = check_fill(dataset, err);
    }
    if (rc != RC_OK) {
        return rc;
    }
    spans = mem_try(written, sizeof(*spans));
    if (spans == NULL) {
        return err_set(err, RC_LIMIT, "dataset '%s': no memory for %zu chunks", dataset->name,
                       written);
    }
    collect_spans(dataset, &grid, spans);
    plan->all_written = written == grid.end - grid.begin;
    set_scratch(plan, &grid);
    return set_ranges(plan, spans, merge_spans(spans, written, max_gap, &plan->needed_bytes), err);
}

static enum rc plan_contiguous(struct slab_plan *plan, uint64_t row_bytes, uint64_t file_size,
                               struct err *err)
{
    const struct layout_dataset *dataset = plan->dataset;
    uint64_t start = plan->first * row_bytes; /* within the decoded size of all: no overflow */
    struct span span = {0, plan->decoded_bytes};

    if (dataset->address == LAYOUT_UNALLOCATED) {
        return plan->decoded_bytes > 0 ? check_fill(dataset, err) : RC_OK;
    }
    if (start + plan->decoded_bytes > dataset->size) {
        return err_set(err, RC_CORRUPT,
                       "dataset '%s': stores %" PRIu64 " bytes, too few for its shape",
                       dataset->name, dataset->size);
    }
    if (__builtin_add_overflow(dataset->address, start, &span.offset) ||
        !within_file(span.offset, span.len, file_size)) {
        return err_set(err, RC_CORRUPT,
                       "dataset '%s': rows %" PRIu64 " to %" PRIu64
                       " lie beyond the end of the file (%" PRIu64 " bytes)",
                       dataset->name, plan->first, plan->first + plan->count - 1, file_size);
    }
    plan->needed_bytes = span.len;
    return set_ranges(plan, &span, span.len > 0 ? 1 : 0, err);
}

enum rc slab_plan(const struct layout_dataset *dataset, uint64_t file_size, uint64_t first,
                  uint64_t count, uint64_t max_gap, struct slab_plan **ret_plan, struct err *err)
{
    scoped(slab_plan_free) struct slab_plan *plan = NULL;
    uint64_t row, all, last;
    enum rc rc = layout_direct(dataset, err);

    if (rc != RC_OK) {
        return err_wrap(err, "dataset '%s'", dataset->name);
    }
    if (dataset->rank == 0) {
        return err_set(err, RC_INVALID, "dataset '%s' is a scalar and has no rows", dataset->name);
    }
    if (__builtin_add_overflow(first, count, &last) || last > dataset->dims[0]) {
        return err_set(err, RC_INVALID,
                       "dataset '%s' has %" PRIu64 " rows, not %" PRIu64 " from %" PRIu64,
                       dataset->name, dataset->dims[0], count, first);
    }
    if (!layout_count(dataset, 1, &row) ||
        __builtin_mul_overflow(row, (uint64_t)dataset->dtype.size, &row) ||
        __builtin_mul_overflow(row, dataset->dims[0], &all)) {
        return err_set(err, RC_CORRUPT, "dataset '%s': its shape overflows", dataset->name);
    }
    plan = mem_new(struct slab_plan);
    plan->dataset = dataset;
    plan->first = first;
    plan->count = row > 0 ? count : 0;
    plan->decoded_bytes = plan->count * row;
    rc = dataset->storage == LAYOUT_CHUNKED ? plan_chunked(plan, file_size, max_gap, err)
                                            : plan_contiguous(plan, row, file_size, err);
    if (rc == RC_UNSUPPORTED) {
        return err_wrap(err, "dataset '%s'", dataset->name);
    }
    if (rc == RC_OK) {
        *ret_plan = TAKE(plan);
    }
    return rc;
}

void slab_by_frames(struct slab_plan *plan)
{
    struct slab_grid grid;

    plan->by_frames = true;
    if (plan->dataset->storage == LAYOUT_CHUNKED) {
        slab_find_grid(plan->dataset, plan->first, plan->count, &grid);
        set_scratch(plan, &grid);
    }
}

void slab_plan_free(struct slab_plan *plan)
{
    if (plan != NULL) {
        free(plan->ranges);
        free(plan);
    }
}
