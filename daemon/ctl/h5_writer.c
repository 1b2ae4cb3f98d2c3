/** @file
 * libhdf5, writing.
 */
#include "daemon/ctl/h5_writer.h"

#include <errno.h>
#include <hdf5.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"

struct h5_writer {
    char *path, *part;
    hid_t file, dataset; /**< Negative: not open. */
    hid_t type;          /**< Of the dataset in memory; libhdf5's own. */
    unsigned rank;
    hsize_t dims[LAYOUT_RANK_MAX];
    bool finished;
};

/** libhdf5 says little of why; the system's last word is often the reason. */
static enum rc fail(const struct h5_writer *writer, int error_number, const char *what,
                    struct err *err)
{
    if (error_number != 0) {
        return err_errno(err, error_number, "'%s': %s", writer->path, what);
    }
    return err_set(err, RC_IO, "'%s': %s: libhdf5 refused", writer->path, what);
}

enum rc h5_writer_new(const char *path, struct h5_writer **ret_writer, struct err *err)
{
    scoped(h5_writer_free) struct h5_writer *writer = mem_new(struct h5_writer);
    const char *name = str_basename(path);

    writer->path = str_dup(path);
    writer->part = str_printf("%.*s.%s.part", (int)(name - path), path, name);
    writer->file = writer->dataset = -1;
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL); /* errors are ours to word */
    errno = 0;
    writer->file = H5Fcreate(writer->part, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    if (writer->file < 0) {
        return fail(writer, errno, "create", err);
    }
    *ret_writer = TAKE(writer);
    return RC_OK;
}

static bool end_dataset(struct h5_writer *writer)
{
    bool closed = writer->dataset < 0 || H5Dclose(writer->dataset) >= 0;

    writer->dataset = -1;
    return closed;
}

void h5_writer_free(struct h5_writer *writer)
{
    if (writer == NULL) {
        return;
    }
    end_dataset(writer);
    if (writer->file >= 0) {
        H5Fclose(writer->file);
    }
    if (!writer->finished) {
        unlink(writer->part);
    }
    free(writer->path);
    free(writer->part);
    free(writer);
}

static hid_t type_of(enum sample sample)
{
    switch (sample) {
    case SAMPLE_U8:
        return H5T_NATIVE_UINT8;
    case SAMPLE_I8:
        return H5T_NATIVE_INT8;
    case SAMPLE_U16:
        return H5T_NATIVE_UINT16;
    case SAMPLE_I16:
        return H5T_NATIVE_INT16;
    case SAMPLE_U32:
        return H5T_NATIVE_UINT32;
    case SAMPLE_I32:
        return H5T_NATIVE_INT32;
    case SAMPLE_U64:
        return H5T_NATIVE_UINT64;
    case SAMPLE_I64:
        return H5T_NATIVE_INT64;
    case SAMPLE_F32:
        return H5T_NATIVE_FLOAT;
    case SAMPLE_F64:
        return H5T_NATIVE_DOUBLE;
    }
    return -1;
}

static enum rc create_dataset(struct h5_writer *writer, const char *name, hid_t type,
                              struct err *err)
{
    hid_t space, properties;

    if (!end_dataset(writer)) {
        return fail(writer, 0, "close a dataset", err);
    }
    errno = 0;
    space = H5Screate_simple((int)writer->rank, writer->dims, NULL);
    properties = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_obj_track_times(properties, false);
    H5Pset_fill_time(properties, H5D_FILL_TIME_NEVER); /* every row is written */
    writer->dataset =
        H5Dcreate2(writer->file, name, type, space, H5P_DEFAULT, properties, H5P_DEFAULT);
    H5Pclose(properties);
    H5Sclose(space);
    writer->type = type;
    return writer->dataset >= 0 ? RC_OK : fail(writer, errno, "create a dataset", err);
}

enum rc h5_writer_begin(struct h5_writer *writer, const char *name, enum sample sample,
                        unsigned rank, const uint64_t *dims, struct err *err)
{
    writer->rank = rank;
    for (unsigned axis = 0; axis < rank; axis++) {
        writer->dims[axis] = dims[axis];
    }
    return create_dataset(writer, name, type_of(sample), err);
}

enum rc h5_writer_rows(struct h5_writer *writer, uint64_t first, uint64_t count, const void *rows,
                       struct err *err)
{
    hsize_t start[LAYOUT_RANK_MAX] = {first}, size[LAYOUT_RANK_MAX];
    hid_t file_space, memory_space;
    herr_t status;

    for (unsigned axis = 0; axis < writer->rank; axis++) {
        size[axis] = axis == 0 ? count : writer->dims[axis];
    }
    errno = 0;
    file_space = H5Dget_space(writer->dataset);
    memory_space = H5Screate_simple((int)writer->rank, size, NULL);
    status = H5Sselect_hyperslab(file_space, H5S_SELECT_SET, start, NULL, size, NULL);
    if (status >= 0) {
        status =
            H5Dwrite(writer->dataset, writer->type, memory_space, file_space, H5P_DEFAULT, rows);
    }
    int error_number = errno;
    H5Sclose(memory_space);
    H5Sclose(file_space);
    return status >= 0 ? RC_OK : fail(writer, error_number, "write", err);
}

enum rc h5_writer_strings(struct h5_writer *writer, const char *name, const char *const *texts,
                          uint64_t count, size_t width, struct err *err)
{
    scoped(free) char *bytes = mem_zeroed((size_t)count * width + 1);
    hid_t type = H5Tcopy(H5T_C_S1);
    enum rc rc;

    for (uint64_t i = 0; i < count; i++) {
        size_t len = strlen(texts[i]);
        memcpy(bytes + i * width, texts[i], MIN_OF(len, width));
    }
    H5Tset_size(type, width);
    H5Tset_strpad(type, H5T_STR_NULLPAD); /* as numpy's fixed strings are */
    writer->rank = 1;
    writer->dims[0] = count;
    rc = create_dataset(writer, name, type, err);
    if (rc == RC_OK) {
        rc = h5_writer_rows(writer, 0, count, bytes, err);
    }
    if (!end_dataset(writer) && rc == RC_OK) {
        rc = fail(writer, 0, "close a dataset", err);
    }
    H5Tclose(type);
    return rc;
}

enum rc h5_writer_finish(struct h5_writer *writer, uint64_t *ret_bytes, struct err *err)
{
    bool closed = end_dataset(writer);
    struct stat st;

    errno = 0;
    closed = H5Fclose(writer->file) >= 0 && closed;
    writer->file = -1;
    if (!closed) {
        return fail(writer, errno, "close", err);
    }
    if (stat(writer->part, &st) != 0 || rename(writer->part, writer->path) != 0) {
        return fail(writer, errno, "rename", err);
    }
    writer->finished = true;
    *ret_bytes = (uint64_t)st.st_size;
    return RC_OK;
}
