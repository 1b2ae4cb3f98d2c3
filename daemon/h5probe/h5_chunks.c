/** @file
 * The chunk table of an open dataset: for each cell of the grid one H5Dread_chunk() that reads
 * nothing, because the driver only records where the chunk would have been read from.
 */
#include "daemon/h5probe/h5_chunks.h"

#include <inttypes.h>

#include "daemon/h5probe/h5_driver.h"
#include "lib/base/mem.h"

/** After so many unwritten cells it pays to count the written ones, to know when all were seen. */
#define MISSES_BEFORE_COUNT 4096

struct walk {
    hid_t id;
    const struct layout_dataset *dataset;
    uint64_t grid[LAYOUT_RANK_MAX];
    hsize_t offset[LAYOUT_RANK_MAX + 1];
    bool edges_unfiltered;
    uint64_t found, missed;
    uint64_t written; /**< Chunks there are; UINT64_MAX until counted. */
};

static bool cells_of(const struct layout_dataset *dataset, uint64_t grid[LAYOUT_RANK_MAX],
                     uint64_t *ret_cells)
{
    uint64_t cells = 1;

    for (uint32_t i = 0; i < dataset->rank; i++) {
        if (dataset->chunk_dims[i] == 0) {
            return false;
        }
        grid[i] = dataset->dims[i] / dataset->chunk_dims[i] +
                  (dataset->dims[i] % dataset->chunk_dims[i] != 0);
        if (grid[i] == 0) {
            *ret_cells = 0;
            return true;
        }
        if (__builtin_mul_overflow(cells, grid[i], &cells)) {
            cells = UINT64_MAX / 2; /* more than any budget; a later zero still makes it empty */
        }
    }
    *ret_cells = cells;
    return true;
}

/** Whether the cell at `offset` sticks out of the dataset. */
static bool on_edge(const struct walk *walk)
{
    const struct layout_dataset *dataset = walk->dataset;

    for (uint32_t i = 0; i < dataset->rank; i++) {
        if (dataset->dims[i] - walk->offset[i] < dataset->chunk_dims[i]) {
            return true;
        }
    }
    return false;
}

static enum rc count_written(struct walk *walk, struct err *err)
{
    const hid_t space = H5Dget_space(walk->id);
    hsize_t written;

    if (space < 0 || H5Dget_num_chunks(walk->id, space, &written) < 0) {
        return h5_driver_err(err, "count the chunks");
    }
    H5Sclose(space);
    walk->written = written;
    return RC_OK;
}

/** H5Dread_chunk() failed: for a cell that was never written, or for a broken index? */
static enum rc check_unwritten(struct walk *walk, struct layout_chunk *chunk, struct err *err)
{
    /* H5Dget_chunk_storage_size() would tell, but only where there are filters. */
    if (h5_driver_err_is("storage is not initialized")) {
        walk->written = 0;
    } else if (!h5_driver_err_is("chunk address isn't defined")) {
        return h5_driver_err(err, "find the chunk at row %" PRIu64, (uint64_t)walk->offset[0]);
    }
    H5Eclear2(H5E_DEFAULT);
    *chunk = (struct layout_chunk){.address = LAYOUT_UNALLOCATED};
    walk->missed++;
    if (walk->missed == MISSES_BEFORE_COUNT) {
        return count_written(walk, err);
    }
    return RC_OK;
}

static enum rc find_chunk(struct walk *walk, struct layout_chunk *chunk, struct err *err)
{
    uint32_t mask = 0;
    uint64_t address, size;
    uint8_t nothing;

    if (walk->found >= walk->written) {
        *chunk = (struct layout_chunk){.address = LAYOUT_UNALLOCATED};
        return RC_OK;
    }
    if (H5Dread_chunk(walk->id, H5P_DEFAULT, walk->offset, &mask, &nothing) < 0) {
        return check_unwritten(walk, chunk, err);
    }
    if (!h5_driver_recorded(&address, &size) || size == 0 || size > UINT32_MAX) {
        return err_set(err, RC_CORRUPT, "the chunk at row %" PRIu64 " has no usable size",
                       (uint64_t)walk->offset[0]);
    }
    if (walk->edges_unfiltered && on_edge(walk)) {
        mask = UINT32_MAX; /* libhdf5 knows it by the position, our readers by the mask */
    }
    *chunk = (struct layout_chunk){.address = address, .size = (uint32_t)size, .filter_mask = mask};
    walk->found++;
    return RC_OK;
}

/** The next cell in C order. */
static void step(struct walk *walk)
{
    for (uint32_t i = walk->dataset->rank; i-- > 0;) {
        walk->offset[i] += walk->dataset->chunk_dims[i];
        if (walk->offset[i] < walk->dataset->dims[i]) {
            return;
        }
        walk->offset[i] = 0;
    }
}

enum rc h5_chunks_read(hid_t id, bool edges_unfiltered, struct layout_dataset *dataset,
                       uint64_t *budget, struct err *err)
{
    struct walk walk = {
        .id = id, .dataset = dataset, .edges_unfiltered = edges_unfiltered, .written = UINT64_MAX};
    struct layout_chunk *chunks;
    uint64_t cells, stored = 0;
    enum rc rc = RC_OK;

    if (!cells_of(dataset, walk.grid, &cells)) {
        return err_set(err, RC_CORRUPT, "chunks of no size");
    }
    if (cells == 0 || cells > *budget) {
        return RC_OK;
    }
    chunks = mem_try(cells, sizeof(*chunks));
    if (chunks == NULL) {
        return err_set(err, RC_LIMIT, "no memory for a table of %" PRIu64 " chunks", cells);
    }
    h5_driver_record(true, dataset->rank);
    for (uint64_t i = 0; i < cells && rc == RC_OK; i++, step(&walk)) {
        rc = find_chunk(&walk, &chunks[i], err);
        stored += rc == RC_OK ? chunks[i].size : 0;
    }
    h5_driver_record(false, 0);
    if (rc != RC_OK) {
        free(chunks);
        return rc;
    }
    *budget -= cells;
    dataset->chunk_count = cells;
    dataset->chunks = chunks;
    dataset->size = stored;
    return RC_OK;
}
