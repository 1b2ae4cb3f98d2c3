/** @file
 * Rows decoded by libhdf5, a slice at a time: for what the workers cannot decode by themselves.
 */
#include <inttypes.h>

#include "daemon/h5probe/h5_dataset.h"
#include "daemon/h5probe/h5_driver.h"
#include "daemon/h5probe/h5_type.h"
#include "daemon/h5probe/probe_io.h"
#include "lib/base/mem.h"

#define SLICE_BYTES (32ull << 20)
/** Slots of the chunk cache: a prime well above the chunks a slice touches. */
#define CACHE_SLOTS 12421

struct reader {
    hid_t id, space, native;
    struct layout_dataset dataset; /**< Type, shape and storage only. */
    uint64_t row_bytes;
    uint64_t slice_rows;
    void *buffer;
};

/** Whether this dataset is one whose rows can be had at all. */
static enum rc check_readable(hid_t plist, struct reader *reader, struct err *err)
{
    const H5D_layout_t layout = H5Pget_layout(plist);
    int filters;

    if (layout == H5D_VIRTUAL || H5Pget_external_count(plist) > 0) {
        return err_set(err, RC_UNSUPPORTED, "its data lie in other files");
    }
    if (layout == H5D_CHUNKED) {
        hsize_t dims[LAYOUT_RANK_MAX];

        if (H5Pget_chunk(plist, LAYOUT_RANK_MAX, dims) < 1) {
            return h5_driver_err(err, "chunk shape");
        }
        reader->dataset.chunk_dims[0] = dims[0];
    }
    filters = H5Pget_nfilters(plist);
    for (int i = 0; i < filters; i++) {
        char name[48] = "";
        unsigned flags, config;
        size_t values = 0;
        const H5Z_filter_t filter = H5Pget_filter2(plist, (unsigned)i, &flags, &values, NULL,
                                                   sizeof(name) - 1, name, &config);

        if (filter >= 0 && H5Zfilter_avail(filter) <= 0) {
            H5Eclear2(H5E_DEFAULT);
            return err_set(err, RC_UNSUPPORTED, "libhdf5 here has no filter '%s' (%d)", name,
                           (int)filter);
        }
    }
    return RC_OK;
}

static enum rc check_shape(struct reader *reader, uint64_t first, uint64_t count, uint64_t bytes,
                           struct err *err)
{
    struct layout_dataset *dataset = &reader->dataset;
    hsize_t dims[H5S_MAX_RANK];
    const int rank = H5Sget_simple_extent_dims(reader->space, dims, NULL);
    uint64_t all;

    if (rank < 1 || rank > LAYOUT_RANK_MAX) {
        return err_set(err, RC_UNSUPPORTED, "rows of %d dimensions", rank);
    }
    dataset->rank = (uint32_t)rank;
    for (int i = 0; i < rank; i++) {
        dataset->dims[i] = dims[i];
    }
    reader->row_bytes = layout_row_bytes(dataset);
    if (count > dims[0] || first > dims[0] - count) {
        return err_set(err, RC_INVALID, "rows %" PRIu64 " to %" PRIu64 " of %" PRIu64, first,
                       first + count, (uint64_t)dims[0]);
    }
    if (__builtin_mul_overflow(reader->row_bytes, count, &all) || all != bytes) {
        return err_set(err, RC_INVALID, "the rows take %" PRIu64 " bytes, not %" PRIu64, all,
                       bytes);
    }
    return RC_OK;
}

/** Open with a chunk cache that holds what one slice touches, so that no chunk is undone twice. */
static enum rc open_dataset(hid_t file, const char *name, uint64_t memory_bytes,
                            struct reader *reader, struct err *err)
{
    const hid_t access = H5Pcreate(H5P_DATASET_ACCESS);
    hid_t plist, type;
    enum rc rc;

    if (access < 0 ||
        H5Pset_chunk_cache(access, CACHE_SLOTS, (size_t)(memory_bytes / 4), 1.0) < 0) {
        return h5_driver_err(err, "prepare");
    }
    reader->id = H5Dopen2(file, name, access);
    if (reader->id < 0) {
        return h5_driver_err(err, "open");
    }
    plist = H5Dget_create_plist(reader->id);
    type = H5Dget_type(reader->id);
    if (plist < 0 || type < 0) {
        return h5_driver_err(err, "properties");
    }
    rc = check_readable(plist, reader, err);
    if (rc != RC_OK) {
        return rc;
    }
    reader->space = H5Dget_space(reader->id);
    if (reader->space < 0) {
        return h5_driver_err(err, "shape");
    }
    h5_type_describe(type, &reader->dataset.dtype);
    return h5_type_native(type, &reader->dataset.dtype, &reader->native, err);
}

/** Rows of the next slice: it ends on a chunk's boundary where a whole chunk fits. */
static uint64_t slice_at(const struct reader *reader, uint64_t row, uint64_t end)
{
    const uint64_t step = reader->dataset.chunk_dims[0];
    uint64_t stop = row + MIN_OF(reader->slice_rows, end - row);

    if (step > 0 && stop < end && stop - stop % step > row) {
        stop -= stop % step;
    }
    return stop - row;
}

static enum rc send_slice(const struct reader *reader, uint64_t row, uint64_t rows, struct err *err)
{
    hsize_t start[LAYOUT_RANK_MAX] = {row}, extent[LAYOUT_RANK_MAX] = {rows};
    hid_t memory;

    for (uint32_t i = 1; i < reader->dataset.rank; i++) {
        extent[i] = reader->dataset.dims[i];
    }
    memory = H5Screate_simple((int)reader->dataset.rank, extent, NULL);
    if (memory < 0 ||
        H5Sselect_hyperslab(reader->space, H5S_SELECT_SET, start, NULL, extent, NULL) < 0) {
        return h5_driver_err(err, "select rows");
    }
    if (H5Dread(reader->id, reader->native, memory, reader->space, H5P_DEFAULT, reader->buffer) <
        0) {
        return h5_driver_err(err, "rows from %" PRIu64, row);
    }
    H5Sclose(memory);
    probe_io_answer(H5_WIRE_ROWS, rows * reader->row_bytes);
    probe_io_bytes(reader->buffer, (size_t)(rows * reader->row_bytes));
    return RC_OK;
}

static enum rc send_rows(struct reader *reader, uint64_t first, uint64_t count, struct err *err)
{
    const uint64_t end = first + count;

    if (reader->row_bytes == 0 || count == 0) {
        return RC_OK;
    }
    reader->slice_rows = MAX_OF(1, SLICE_BYTES / reader->row_bytes);
    reader->buffer = mem_try(MIN_OF(reader->slice_rows, count), reader->row_bytes);
    if (reader->buffer == NULL) {
        return err_set(err, RC_LIMIT, "no memory for a row of %" PRIu64 " bytes",
                       reader->row_bytes);
    }
    for (uint64_t row = first, rows; row < end; row += rows) {
        rows = slice_at(reader, row, end);
        if (send_slice(reader, row, rows, err) != RC_OK) {
            return err->rc;
        }
    }
    return RC_OK;
}

enum rc h5_dataset_send_rows(hid_t file, const char *name, uint64_t first, uint64_t count,
                             uint64_t bytes, uint64_t memory_bytes, struct err *err)
{
    struct reader reader = {0};

    if (open_dataset(file, name, memory_bytes, &reader, err) != RC_OK ||
        check_shape(&reader, first, count, bytes, err) != RC_OK ||
        send_rows(&reader, first, count, err) != RC_OK) {
        return err_wrap(err, "dataset '%.80s'", name);
    }
    probe_io_answer(H5_WIRE_ROWS, 0);
    return RC_OK;
}
