/** @file
 * From rows of a file to palette indices.
 */
#include "daemon/ctl/ctl_planes.h"

#include <inttypes.h>

#include "lib/base/mem.h"
#include "lib/sevir/colors.h"
#include "lib/sevir/lightning.h"

#define FLASH_COLUMNS 5

void ctl_planes_done(struct ctl_planes *planes)
{
    free(planes->indices);
    *planes = (struct ctl_planes){0};
}

static enum rc no_memory(struct err *err)
{
    return err_set(err, RC_LIMIT, "not enough memory for the pictures of the event");
}

enum rc ctl_planes_raster(struct ctl_run *run, const struct ctl_h5 *file, uint64_t index,
                          struct ctl_planes *ret_planes, struct err *err)
{
    const struct layout_dataset *data = file->data;
    scoped(h5_slab_free) struct h5_slab *slab = NULL;
    size_t pixels, all;
    const uint8_t *frames;
    enum sample sample;

    if (index >= data->dims[0]) {
        return err_set(err, RC_INVALID,
                       "'%s' has %" PRIu64 " events, there is none of index %" PRIu64,
                       file->object.key, data->dims[0], index);
    }
    if (sample_of(&data->dtype, &sample, err) != RC_OK ||
        ctl_run_frames(run, &file->object, file->layout, data, index, &slab, &frames, err) !=
            RC_OK) {
        return err_wrap(err, "'%s'", file->object.key);
    }
    pixels = (size_t)(data->dims[1] * data->dims[2]); /* what was read has been in memory */
    all = pixels * (size_t)data->dims[3];
    scoped(free) uint8_t *indices = mem_try(all, 1);

    if (indices == NULL) {
        return no_memory(err);
    }
    colors_map(file->type, frames, all, sample, indices);
    *ret_planes = (struct ctl_planes){.width = (uint32_t)data->dims[2],
                                      .height = (uint32_t)data->dims[1],
                                      .frames = (unsigned)data->dims[3],
                                      .indices = TAKE(indices)};
    return RC_OK;
}

/** Columns: seconds, latitude, longitude, x, y. */
static enum rc count_flashes(struct ctl_run *run, const struct ctl_h5 *file,
                             const struct layout_dataset *flashes, uint32_t *counts,
                             struct err *err)
{
    scoped(h5_slab_free) struct h5_slab *slab = NULL;
    const uint8_t *rows;
    enum sample sample;

    if (sample_of(&flashes->dtype, &sample, err) != RC_OK) {
        return err->rc;
    }
    if (flashes->dims[0] == 0) {
        return RC_OK;
    }
    if (ctl_run_rows(run, &file->object, file->layout, flashes, 0, flashes->dims[0], &slab, &rows,
                     err) != RC_OK) {
        return err->rc;
    }
    for (size_t i = 0; i < flashes->dims[0]; i++) {
        lightning_count(ctl_h5_number(rows, sample, i * FLASH_COLUMNS),
                        ctl_h5_number(rows, sample, i * FLASH_COLUMNS + 3),
                        ctl_h5_number(rows, sample, i * FLASH_COLUMNS + 4), counts);
    }
    return RC_OK;
}

enum rc ctl_planes_flashes(struct ctl_run *run, const struct ctl_h5 *file,
                           const struct layout_dataset *flashes, struct ctl_planes *ret_planes,
                           struct err *err)
{
    size_t all = LIGHTNING_FRAMES * LIGHTNING_CELLS;
    scoped(free) uint32_t *counts = mem_zeroed(all * sizeof(*counts));
    scoped(free) uint8_t *indices = mem_zeroed(all);

    if (count_flashes(run, file, flashes, counts, err) != RC_OK) {
        return err_wrap(err, "'%s' event '%s'", file->object.key, flashes->name);
    }
    colors_map(SEVIR_LGHT, counts, all, SAMPLE_U32, indices);
    *ret_planes = (struct ctl_planes){.width = LIGHTNING_SIDE,
                                      .height = LIGHTNING_SIDE,
                                      .frames = LIGHTNING_FRAMES,
                                      .indices = TAKE(indices)};
    return RC_OK;
}
