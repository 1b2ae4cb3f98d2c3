/** @file
 * Recognising SEVIR's files by their datasets.
 */
#include "daemon/ctl/ctl_h5.h"

#include <inttypes.h>
#include <string.h>

#include "lib/base/mem.h"

#define FLASH_COLUMNS 5
#define IDS_MAX 10000000

/** A table of flashes: (n, 5) numbers, named by the event. */
static bool is_flashes(const struct layout_dataset *dataset)
{
    return dataset->rank == 2 && dataset->dims[1] == FLASH_COLUMNS &&
           (dataset->dtype.class_ == LAYOUT_FLOAT || dataset->dtype.class_ == LAYOUT_INTEGER) &&
           naming_id_ok(dataset->name);
}

static bool has_flashes(const struct layout *layout)
{
    for (uint32_t i = 0; i < layout->dataset_count; i++) {
        if (is_flashes(&layout->datasets[i])) {
            return true;
        }
    }
    return false;
}

static enum rc check_raster(const struct layout_dataset *data, struct err *err)
{
    if (data->rank != 4) {
        return err_set(err, RC_INVALID,
                       "dataset '%s' has %u dimensions; SEVIR's have 4: event, row, column, time",
                       data->name, data->rank);
    }
    for (unsigned axis = 1; axis < 4; axis++) {
        if (data->dims[axis] == 0 || data->dims[axis] > 1000000) {
            return err_set(err, RC_INVALID, "dataset '%s' has %" PRIu64 " along axis %u",
                           data->name, data->dims[axis], axis);
        }
    }
    return RC_OK;
}

static enum rc recognise(struct ctl_h5 *file, struct err *err)
{
    for (unsigned type = 0; type < SEVIR_TYPE_COUNT; type++) {
        const char *name = sevir_type_name((enum sevir_type)type);
        if (type != SEVIR_LGHT && (file->data = layout_find(file->layout, name)) != NULL) {
            file->type = (enum sevir_type)type;
            file->ids = layout_find(file->layout, "id");
            return check_raster(file->data, err);
        }
    }
    if (!has_flashes(file->layout)) {
        return err_set(err, RC_INVALID,
                       "'%s' holds no dataset vis, ir069, ir107 or vil, nor tables of flashes",
                       file->object.key);
    }
    file->type = SEVIR_LGHT;
    return RC_OK;
}

enum rc ctl_h5_open(struct ctl_run *run, struct ctl_object *object, struct ctl_h5 *ret_file,
                    struct err *err)
{
    scoped(ctl_h5_done) struct ctl_h5 file = {.object = *object};

    *object = (struct ctl_object){0};
    if (ctl_run_layout(run, &file.object, &file.layout, err) != RC_OK) {
        return err_wrap(err, "'%s'", file.object.key);
    }
    if (recognise(&file, err) != RC_OK) {
        return err->rc;
    }
    *ret_file = file;
    file = (struct ctl_h5){0};
    return RC_OK;
}

uint64_t ctl_h5_count(const struct ctl_h5 *file)
{
    return file->data != NULL ? file->data->dims[0] : 0;
}

void ctl_h5_done(struct ctl_h5 *file)
{
    for (uint64_t i = 0; file->id_list != NULL && i < ctl_h5_count(file); i++) {
        free(file->id_list[i]);
    }
    free(file->id_list);
    layout_free(file->layout);
    ctl_object_done(&file->object);
    *file = (struct ctl_h5){0};
}

/** Fixed strings, padded with NUL or spaces. */
static enum rc load_ids(struct ctl_run *run, struct ctl_h5 *file, struct err *err)
{
    const struct layout_dataset *ids = file->ids;
    scoped(h5_slab_free) struct h5_slab *slab = NULL;
    uint64_t count = ctl_h5_count(file);
    const uint8_t *rows;

    if (file->id_list != NULL || ids == NULL || count == 0) {
        return RC_OK;
    }
    if (count > IDS_MAX) {
        return err_set(err, RC_LIMIT, "dataset 'id' has %" PRIu64 " rows, at most %d are read",
                       count, IDS_MAX);
    }
    if (ids->rank != 1 || ids->dims[0] != count || ids->dtype.class_ != LAYOUT_STRING ||
        ids->dtype.size == 0) {
        return err_set(err, RC_INVALID,
                       "dataset 'id' does not hold one fixed string an event; use --index");
    }
    if (ctl_run_rows(run, &file->object, file->layout, ids, 0, count, &slab, &rows, err) != RC_OK) {
        return err_wrap(err, "dataset 'id'");
    }
    file->id_list = mem_resize(NULL, count, sizeof(*file->id_list));
    for (uint64_t i = 0; i < count; i++) {
        const char *text = (const char *)rows + i * ids->dtype.size;
        size_t len = strnlen(text, ids->dtype.size);
        while (len > 0 && text[len - 1] == ' ') {
            len--;
        }
        file->id_list[i] = str_dup_n(text, len);
    }
    return RC_OK;
}

enum rc ctl_h5_id(struct ctl_run *run, struct ctl_h5 *file, uint64_t index, const char **ret_id,
                  struct err *err)
{
    if (load_ids(run, file, err) != RC_OK) {
        return err->rc;
    }
    *ret_id = file->id_list != NULL ? file->id_list[index] : NULL;
    return RC_OK;
}

enum rc ctl_h5_find(struct ctl_run *run, struct ctl_h5 *file, const char *id, uint64_t *ret_index,
                    uint64_t *ret_times, struct err *err)
{
    uint64_t times = 0;

    if (load_ids(run, file, err) != RC_OK) {
        return err->rc;
    }
    for (uint64_t i = ctl_h5_count(file); file->id_list != NULL && i-- > 0;) {
        if (strcmp(file->id_list[i], id) == 0) {
            *ret_index = i;
            times++;
        }
    }
    *ret_times = times;
    return RC_OK;
}

const struct layout_dataset *ctl_h5_flashes(const struct ctl_h5 *file, const char *id)
{
    const struct layout_dataset *dataset = layout_find(file->layout, id);

    return dataset != NULL && is_flashes(dataset) ? dataset : NULL;
}

#define NUMBER(T) ((double)((const T *)(const void *)rows)[index])

double ctl_h5_number(const uint8_t *rows, enum sample sample, size_t index)
{
    switch (sample) {
    case SAMPLE_U8:
        return NUMBER(uint8_t);
    case SAMPLE_I8:
        return NUMBER(int8_t);
    case SAMPLE_U16:
        return NUMBER(uint16_t);
    case SAMPLE_I16:
        return NUMBER(int16_t);
    case SAMPLE_U32:
        return NUMBER(uint32_t);
    case SAMPLE_I32:
        return NUMBER(int32_t);
    case SAMPLE_U64:
        return NUMBER(uint64_t);
    case SAMPLE_I64:
        return NUMBER(int64_t);
    case SAMPLE_F32:
        return NUMBER(float);
    case SAMPLE_F64:
        return NUMBER(double);
    }
    return 0;
}
