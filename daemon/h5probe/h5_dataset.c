/** @file
 * One dataset: what the layout says of it.
 */
#include "daemon/h5probe/h5_dataset.h"

#include <string.h>

#include "daemon/h5probe/h5_attrs.h"
#include "daemon/h5probe/h5_chunks.h"
#include "daemon/h5probe/h5_driver.h"
#include "daemon/h5probe/h5_type.h"

/** libhdf5's handles of one dataset. */
struct handles {
    hid_t id, plist, type;
};

static enum rc read_dims(hid_t space, struct layout_dataset *dataset, struct err *err)
{
    hsize_t dims[H5S_MAX_RANK];
    int rank;

    if (H5Sget_simple_extent_type(space) == H5S_NULL) {
        dataset->rank = 1; /* no elements at all: an axis of length zero */
        return RC_OK;
    }
    rank = H5Sget_simple_extent_dims(space, dims, NULL);
    if (rank < 0) {
        return h5_driver_err(err, "shape");
    }
    if (rank > LAYOUT_RANK_MAX) {
        return err_set(err, RC_UNSUPPORTED, "%d dimensions", rank);
    }
    dataset->rank = (uint32_t)rank;
    for (int i = 0; i < rank; i++) {
        dataset->dims[i] = dims[i];
    }
    return RC_OK;
}

/** A virtual dataset's true extent needs its source files, which are not ours to open: take what
 * was written down when it was made. */
static hid_t space_of(const struct handles *handles, const struct layout_dataset *dataset)
{
    size_t mappings;

    if (dataset->storage == LAYOUT_VIRTUAL && H5Pget_layout(handles->plist) == H5D_VIRTUAL) {
        if (H5Pget_virtual_count(handles->plist, &mappings) < 0) {
            return H5I_INVALID_HID;
        }
        if (mappings > 0) {
            return H5Pget_virtual_vspace(handles->plist, 0);
        }
    }
    return H5Dget_space(handles->id);
}

static enum rc read_storage(const struct handles *handles, struct layout_dataset *dataset,
                            struct err *err)
{
    switch (H5Pget_layout(handles->plist)) {
    case H5D_COMPACT:
        dataset->storage = LAYOUT_COMPACT;
        break;
    case H5D_CONTIGUOUS:
        /* In external files: as far from us as a virtual dataset's sources. */
        dataset->storage =
            H5Pget_external_count(handles->plist) > 0 ? LAYOUT_VIRTUAL : LAYOUT_CONTIGUOUS;
        break;
    case H5D_CHUNKED:
        dataset->storage = LAYOUT_CHUNKED;
        break;
    case H5D_VIRTUAL:
        dataset->storage = LAYOUT_VIRTUAL;
        break;
    case H5D_LAYOUT_ERROR:
    case H5D_NLAYOUTS:
    default:
        return h5_driver_err(err, "storage");
    }
    return RC_OK;
}

static enum rc read_filters(hid_t plist, struct layout_dataset *dataset, struct err *err)
{
    const int count = H5Pget_nfilters(plist);

    if (count < 0) {
        return h5_driver_err(err, "filters");
    }
    if (count > LAYOUT_FILTERS_MAX) {
        return err_set(err, RC_UNSUPPORTED, "%d filters", count);
    }
    for (int i = 0; i < count; i++) {
        struct layout_filter *filter = &dataset->filters[i];
        unsigned flags, config;
        size_t values = 0;

        filter->id = H5Pget_filter2(plist, (unsigned)i, &flags, &values, NULL, sizeof(filter->name),
                                    filter->name, &config);
        if (filter->id < 0) {
            return h5_driver_err(err, "filter %d", i);
        }
        filter->name[sizeof(filter->name) - 1] = '\0';
    }
    dataset->filter_count = (uint32_t)count;
    return RC_OK;
}

static enum rc read_chunks(const struct handles *handles, struct layout_dataset *dataset,
                           uint64_t *chunk_budget, struct err *err)
{
    hsize_t dims[LAYOUT_RANK_MAX];
    unsigned options = 0;
    const int rank = H5Pget_chunk(handles->plist, LAYOUT_RANK_MAX, dims);

    if (rank < 0 || (uint32_t)rank != dataset->rank ||
        H5Pget_chunk_opts(handles->plist, &options) < 0) {
        return h5_driver_err(err, "chunk shape");
    }
    for (int i = 0; i < rank; i++) {
        dataset->chunk_dims[i] = dims[i];
    }
    if (read_filters(handles->plist, dataset, err) != RC_OK) {
        return err->rc;
    }
    return h5_chunks_read(handles->id, (options & H5D_CHUNK_DONT_FILTER_PARTIAL_CHUNKS) != 0,
                          dataset, chunk_budget, err);
}

static void read_contiguous(const struct handles *handles, struct layout_dataset *dataset)
{
    const haddr_t address = H5Dget_offset(handles->id);

    /* Never written: no size, and an address that is undefined, plus the user block if there is
     * one, which makes it look like a good one. */
    dataset->size = H5Dget_storage_size(handles->id);
    dataset->address = address == HADDR_UNDEF || dataset->size == 0 ? LAYOUT_UNALLOCATED : address;
    if (dataset->address == LAYOUT_UNALLOCATED) {
        dataset->size = 0;
        H5Eclear2(H5E_DEFAULT);
    }
}

static void read_fill(const struct handles *handles, struct layout_dataset *dataset)
{
    H5D_fill_value_t defined;

    if (dataset->dtype.class_ == LAYOUT_OTHER || dataset->dtype.size == 0 ||
        dataset->dtype.size > sizeof(dataset->fill) ||
        H5Pfill_value_defined(handles->plist, &defined) < 0 ||
        defined != H5D_FILL_VALUE_USER_DEFINED ||
        H5Pget_fill_value(handles->plist, handles->type, dataset->fill) < 0) {
        memset(dataset->fill, 0, sizeof(dataset->fill));
        H5Eclear2(H5E_DEFAULT);
    }
}

static enum rc describe(const struct handles *handles, struct layout_dataset *dataset,
                        uint64_t *chunk_budget, struct err *err)
{
    hid_t space;
    enum rc rc;

    if (read_storage(handles, dataset, err) != RC_OK) {
        return err->rc;
    }
    space = space_of(handles, dataset);
    if (space < 0) {
        return h5_driver_err(err, "shape");
    }
    rc = read_dims(space, dataset, err);
    H5Sclose(space);
    if (rc != RC_OK) {
        return rc;
    }
    h5_type_describe(handles->type, &dataset->dtype);
    read_fill(handles, dataset);
    dataset->address = LAYOUT_UNALLOCATED;
    if (dataset->storage == LAYOUT_CONTIGUOUS) {
        read_contiguous(handles, dataset);
    } else if (dataset->storage == LAYOUT_COMPACT) {
        dataset->size = H5Dget_storage_size(handles->id);
    } else if (dataset->storage == LAYOUT_CHUNKED) {
        rc = read_chunks(handles, dataset, chunk_budget, err);
    }
    return rc != RC_OK ? rc
                       : h5_attrs_read(handles->id, &dataset->attrs, &dataset->attr_count, err);
}

enum rc h5_dataset_describe(hid_t id, struct layout_dataset *ret_dataset, uint64_t *chunk_budget,
                            struct err *err)
{
    const struct handles handles = {
        .id = id, .plist = H5Dget_create_plist(id), .type = H5Dget_type(id)};
    struct layout_dataset dataset = {0};
    enum rc rc;

    if (handles.plist < 0 || handles.type < 0) {
        return h5_driver_err(err, "properties");
    }
    rc = describe(&handles, &dataset, chunk_budget, err);
    H5Tclose(handles.type);
    H5Pclose(handles.plist);
    if (rc == RC_OK) {
        *ret_dataset = dataset;
    }
    return rc;
}
