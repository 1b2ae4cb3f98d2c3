/** @file
 * Decoding to frames, [row][T][H][W], of rasters (N, H, W, T).
 *
 * A chunk of one frame belongs there as it is. In others a pixel's frames lie side by side; they
 * are turned while the chunk is in the cache, all pixels of a row of it at once, and its lines are
 * copied to their places.
 */
#include "lib/base/mem.h"
#include "lib/data/planes.h"
#include "lib/data/slab_p.h"

enum { ROW, HEIGHT, WIDTH, FRAME, AXES };

/** The elements of a chunk that lie within the plan. */
struct part {
    uint64_t start[AXES]; /**< Where the chunk begins, in the dataset. */
    uint64_t low, end;    /**< Rows. */
    uint64_t count[AXES]; /**< Along the other axes; they begin where the chunk does. */
};

static void find_part(const struct slab_plan *plan, const struct slab_grid *grid, uint64_t index,
                      struct part *part)
{
    const struct layout_dataset *dataset = plan->dataset;

    for (unsigned axis = AXES; axis-- > 0;) {
        part->start[axis] = index % grid->cells[axis] * dataset->chunk_dims[axis];
        part->count[axis] =
            MIN_OF(dataset->chunk_dims[axis], dataset->dims[axis] - part->start[axis]);
        index /= grid->cells[axis];
    }
    part->low = MAX_OF(part->start[ROW], plan->first);
    part->end = MIN_OF(part->start[ROW] + part->count[ROW], plan->first + plan->count);
}

static size_t line_bytes(const struct layout_dataset *dataset)
{
    return (size_t)dataset->dims[WIDTH] * dataset->dtype.size;
}

static uint8_t *place_of(const struct slab_plan *plan, const struct part *part, uint64_t row,
                         uint64_t frame, uint8_t *out)
{
    const struct layout_dataset *dataset = plan->dataset;
    const uint64_t line = (row - plan->first) * dataset->dims[FRAME] + part->start[FRAME] + frame;

    return out + (line * dataset->dims[HEIGHT] + part->start[HEIGHT]) * line_bytes(dataset) +
           part->start[WIDTH] * dataset->dtype.size;
}

bool slab_prefers_frames(const struct layout_dataset *dataset)
{
    const uint32_t size = dataset->dtype.size;
    struct slab_grid grid;
    struct err ignored;

    if (dataset->storage != LAYOUT_CHUNKED || dataset->rank != AXES ||
        (size != 1 && size != 2 && size != 4 && size != 8) ||
        layout_direct(dataset, &ignored) != RC_OK) {
        return false;
    }
    slab_find_grid(dataset, 0, 0, &grid);
    return !grid.whole_rows;
}

uint8_t *slab_frame_of(const struct slab_plan *plan, const struct slab_grid *grid, uint64_t index,
                       uint8_t *out)
{
    struct part part;

    if (plan->dataset->chunk_dims[ROW] != 1 || !slab_is_frame(plan->dataset, grid)) {
        return NULL;
    }
    find_part(plan, grid, index, &part);
    return place_of(plan, &part, part.low, 0, out);
}

/** Elements of a chunk that belong to one row. */
static size_t slice_elements(const struct layout_dataset *dataset)
{
    return (size_t)(dataset->chunk_dims[HEIGHT] * dataset->chunk_dims[WIDTH] *
                    dataset->chunk_dims[FRAME]);
}

uint64_t slab_turned_bytes(const struct layout_dataset *dataset, const struct slab_grid *grid)
{
    /* Whole frames are turned to where they belong. */
    return grid->whole_frames || dataset->chunk_dims[FRAME] == 1
               ? 0
               : slice_elements(dataset) * (uint64_t)dataset->dtype.size;
}

/** The frames of a slice, each of chunk_dims[HEIGHT] lines, to one row of the output. */
static void put_lines(const struct slab_plan *plan, const struct part *part, uint64_t row,
                      const uint8_t *frames, uint8_t *out)
{
    const struct layout_dataset *dataset = plan->dataset;
    const size_t element = dataset->dtype.size, step = line_bytes(dataset);
    const size_t from_step = (size_t)dataset->chunk_dims[WIDTH] * element;
    const size_t run = (size_t)part->count[WIDTH] * element;

    for (uint64_t frame = 0; frame < part->count[FRAME]; frame++) {
        const uint8_t *from = frames + frame * dataset->chunk_dims[HEIGHT] * from_step;
        uint8_t *to = place_of(plan, part, row, frame, out);

        for (uint64_t y = 0; y < part->count[HEIGHT]; y++) {
            slab_copy_run(to + y * step, from + y * from_step, run);
        }
    }
}

void slab_put_frames(const struct slab_plan *plan, const struct slab_grid *grid, uint64_t index,
                     const uint8_t *elements, uint8_t *turned, uint8_t *out)
{
    const struct layout_dataset *dataset = plan->dataset;
    const size_t element = dataset->dtype.size, depth = (size_t)dataset->chunk_dims[FRAME];
    const size_t pixels = (size_t)(dataset->chunk_dims[HEIGHT] * dataset->chunk_dims[WIDTH]);
    struct part part;

    find_part(plan, grid, index, &part);
    for (uint64_t row = part.low; row < part.end; row++) {
        const uint8_t *slice =
            elements + (row - part.start[ROW]) * slice_elements(dataset) * element;

        if (depth == 1) {
            put_lines(plan, &part, row, slice, out);
        } else if (grid->whole_frames) {
            planes_transpose_some(slice, place_of(plan, &part, row, 0, out), pixels, depth, 0,
                                  (size_t)part.count[FRAME], element);
        } else {
            planes_transpose_some(slice, turned, pixels, depth, 0, (size_t)part.count[FRAME],
                                  element);
            put_lines(plan, &part, row, turned, out);
        }
    }
}

void slab_turn_rows(const struct layout_dataset *dataset, uint64_t count, const uint8_t *rows,
                    uint8_t *out)
{
    const size_t pixels = (size_t)(dataset->dims[HEIGHT] * dataset->dims[WIDTH]);
    const size_t row_bytes = (size_t)layout_row_bytes(dataset);

    for (uint64_t row = 0; row < count; row++) {
        planes_transpose(rows + row * row_bytes, out + row * row_bytes, pixels,
                         (size_t)dataset->dims[FRAME], dataset->dtype.size);
    }
}
