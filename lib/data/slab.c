/** @file
 * Decoding: from fetched bytes to rows.
 */
#include "lib/data/slab.h"

#include <libdeflate.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/data/chunk.h"
#include "lib/data/slab_p.h"

uint64_t slab_group(const struct layout_dataset *dataset)
{
    return dataset->storage == LAYOUT_CHUNKED && dataset->chunk_dims[0] > 0 ? dataset->chunk_dims[0]
                                                                            : 1;
}

static bool needs_swap(const struct layout_dtype *dtype)
{
    bool native_big = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__;

    return (dtype->class_ == LAYOUT_INTEGER || dtype->class_ == LAYOUT_FLOAT) && dtype->size > 1 &&
           dtype->big_endian != native_big;
}

bool slab_is_verbatim(const struct slab_plan *plan)
{
    return plan->dataset->storage == LAYOUT_CONTIGUOUS && plan->range_count == 1 &&
           !plan->by_frames && !needs_swap(&plan->dataset->dtype);
}

/** Repeat the fill value over `len` bytes, a multiple of `size`. */
static void fill_with(const uint8_t *value, size_t size, uint8_t *to, size_t len)
{
    size_t done = MIN_OF(size, len);

    memcpy(to, value, done);
    while (done < len) {
        size_t some = MIN_OF(done, len - done);

        memcpy(to + done, to, some);
        done += some;
    }
}

/** Where a chunk and the rows of a plan meet. Axes that a chunk covers whole are folded into the
 * run, so that a chunk of whole rows is one copy. */
struct meet {
    unsigned axes;                    /**< Axes to loop over; the rest is the run. */
    uint64_t extent[LAYOUT_RANK_MAX]; /**< Of the loops. */
    size_t from_step[LAYOUT_RANK_MAX], to_step[LAYOUT_RANK_MAX];
    size_t from, to, run; /**< Bytes. */
};

static void find_meet(const struct slab_plan *plan, const struct slab_grid *grid, uint64_t index,
                      struct meet *meet)
{
    const struct layout_dataset *dataset = plan->dataset;
    size_t from_step = dataset->dtype.size, to_step = dataset->dtype.size;
    bool folding = true;

    *meet = (struct meet){.run = dataset->dtype.size};
    for (unsigned axis = dataset->rank; axis-- > 0;) {
        uint64_t step = dataset->chunk_dims[axis], start = index % grid->cells[axis] * step;
        uint64_t end = start + MIN_OF(step, dataset->dims[axis] - start);
        uint64_t low = start, base = 0;

        index /= grid->cells[axis];
        if (axis == 0) {
            base = plan->first;
            low = MAX_OF(start, plan->first);
            end = MIN_OF(end, plan->first + plan->count);
        }
        meet->from += (low - start) * from_step;
        meet->to += (low - base) * to_step;
        meet->extent[axis] = end - low;
        meet->from_step[axis] = from_step;
        meet->to_step[axis] = to_step;
        if (folding) {
            meet->run *= end - low;
            meet->axes = axis;
            folding = step == dataset->dims[axis];
        }
        from_step *= step;
        to_step *= dataset->dims[axis];
    }
}

static void scatter(const struct meet *meet, const uint8_t *chunk, uint8_t *out)
{
    uint64_t at[LAYOUT_RANK_MAX] = {0};
    const uint8_t *from = chunk + meet->from;
    uint8_t *to = out + meet->to;

    for (;;) {
        unsigned axis = meet->axes;

        if (axis == 0) {
            memcpy(to, from, meet->run);
            return;
        }
        /* The innermost loop by itself; the others as an odometer. */
        axis--;
        for (uint64_t i = 0; i < meet->extent[axis]; i++) {
            slab_copy_run(to + i * meet->to_step[axis], from + i * meet->from_step[axis],
                          meet->run);
        }
        for (;;) {
            if (axis == 0) {
                return;
            }
            axis--;
            from += meet->from_step[axis];
            to += meet->to_step[axis];
            if (++at[axis] < meet->extent[axis]) {
                break;
            }
            from -= meet->extent[axis] * meet->from_step[axis];
            to -= meet->extent[axis] * meet->to_step[axis];
            at[axis] = 0;
        }
    }
}

static const uint8_t *find_fetched(const struct slab_plan *plan, const uint8_t *fetched,
                                   uint64_t address)
{
    size_t low = 0, high = plan->range_count;

    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;

        if (plan->ranges[middle].offset <= address) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return fetched + plan->ranges[low].at + (address - plan->ranges[low].offset);
}

struct decoding {
    const struct slab_plan *plan;
    struct slab_grid grid;
    struct libdeflate_decompressor *inflater;
    const uint8_t *fetched;
    uint8_t *out, *buffer, *turned, *scratch;
    bool buffer_is_fill; /**< `buffer` still holds nothing but the fill value. */
};

/** Where all elements of a chunk have their place side by side; NULL when they have not. `meet` is
 * of C order only. */
static uint8_t *straight_place(const struct decoding *decoding, const struct meet *meet,
                               uint64_t index)
{
    if (decoding->plan->by_frames) {
        return slab_frame_of(decoding->plan, &decoding->grid, index, decoding->out);
    }
    return meet->axes == 0 && meet->run == decoding->grid.chunk_bytes ? decoding->out + meet->to
                                                                      : NULL;
}

static void put_elements(const struct decoding *decoding, const struct meet *meet, uint64_t index,
                         const uint8_t *elements)
{
    if (decoding->plan->by_frames) {
        slab_put_frames(decoding->plan, &decoding->grid, index, elements, decoding->turned,
                        decoding->out);
    } else {
        scatter(meet, elements, decoding->out);
    }
}

static enum rc decode_chunk(struct decoding *decoding, uint64_t index, struct err *err)
{
    const struct layout_dataset *dataset = decoding->plan->dataset;
    const struct layout_chunk *chunk = &dataset->chunks[index];
    size_t chunk_bytes = decoding->grid.chunk_bytes;
    const uint8_t *elements = decoding->buffer;
    struct meet meet = {0};

    if (!decoding->plan->by_frames) {
        find_meet(decoding->plan, &decoding->grid, index, &meet);
    }
    if (chunk->address == LAYOUT_UNALLOCATED) {
        if (!decoding->buffer_is_fill) {
            fill_with(dataset->fill, dataset->dtype.size, decoding->buffer, chunk_bytes);
            decoding->buffer_is_fill = true;
        }
    } else if (chunk_is_verbatim(dataset->filter_count, chunk->filter_mask)) {
        elements = find_fetched(decoding->plan, decoding->fetched, chunk->address);
    } else {
        uint8_t *place = straight_place(decoding, &meet, index);
        struct chunk_job job = {.filters = dataset->filters,
                                .filter_count = dataset->filter_count,
                                .mask = chunk->filter_mask,
                                .element_bytes = dataset->dtype.size,
                                .stored =
                                    find_fetched(decoding->plan, decoding->fetched, chunk->address),
                                .stored_bytes = chunk->size,
                                .out = place != NULL ? place : decoding->buffer,
                                .out_bytes = chunk_bytes,
                                .scratch = decoding->scratch,
                                .inflater = decoding->inflater};

        decoding->buffer_is_fill = decoding->buffer_is_fill && place != NULL;
        if (chunk_decode(&job, err) != RC_OK) {
            struct err cause = *err;

            return slab_chunk_error(dataset, index, err, "%s", cause.text);
        }
        if (place != NULL) {
            return RC_OK;
        }
    }
    put_elements(decoding, &meet, index, elements);
    return RC_OK;
}

static enum rc decode_chunks(const struct slab_plan *plan, const uint8_t *fetched, uint8_t *out,
                             uint8_t *scratch, struct err *err)
{
    const struct layout_dataset *dataset = plan->dataset;
    struct decoding decoding = {.plan = plan, .fetched = fetched, .out = out, .scratch = scratch};
    enum rc rc = RC_OK;

    slab_find_grid(dataset, plan->first, plan->count, &decoding.grid);
    decoding.buffer = scratch + chunk_scratch_bytes(dataset->filters, dataset->filter_count,
                                                    decoding.grid.chunk_bytes);
    decoding.turned = scratch + plan->scratch_bytes -
                      (plan->by_frames ? slab_turned_bytes(dataset, &decoding.grid) : 0);
    decoding.inflater = libdeflate_alloc_decompressor();
    if (decoding.inflater == NULL) {
        return err_set(err, RC_LIMIT, "dataset '%s': no memory to inflate", dataset->name);
    }
    for (uint64_t i = decoding.grid.begin; i < decoding.grid.end && rc == RC_OK; i++) {
        rc =
            decode_chunk(&decoding, plan->by_frames ? slab_frames_turn(&decoding.grid, i) : i, err);
    }
    libdeflate_free_decompressor(decoding.inflater);
    return rc;
}

enum rc slab_decode(const struct slab_plan *plan, const uint8_t *fetched, uint8_t *out,
                    uint8_t *scratch, struct err *err)
{
    const struct layout_dataset *dataset = plan->dataset;
    enum rc rc;

    if (plan->decoded_bytes == 0) {
        return RC_OK;
    }
    if (dataset->storage == LAYOUT_CHUNKED) {
        rc = decode_chunks(plan, fetched, out, scratch, err);
        if (rc != RC_OK) {
            return rc;
        }
    } else if (plan->range_count == 0) {
        fill_with(dataset->fill, dataset->dtype.size, out, plan->decoded_bytes);
    } else if (plan->by_frames) {
        slab_turn_rows(dataset, plan->count, fetched, out);
    } else {
        memcpy(out, fetched, plan->decoded_bytes);
    }
    if (needs_swap(&dataset->dtype)) {
        chunk_swap(out, plan->decoded_bytes / dataset->dtype.size, dataset->dtype.size);
    }
    return RC_OK;
}
