/** @file
 * A SEVIR file as `render` and `subset` see it: its layout, its type, its events.
 *
 * Thread:     one.
 * Ownership:  ctl_h5_done() frees all of it; what the calls return points into it unless said
 *             otherwise.
 */
#pragma once

#include "daemon/ctl/ctl_run.h"
#include "lib/data/planes.h"

struct ctl_h5 {
    struct ctl_object object;
    struct layout *layout;
    enum sevir_type type;
    const struct layout_dataset *data; /**< (N, H, W, T); NULL for lght: a dataset an event. */
    const struct layout_dataset *ids;  /**< NULL when the file has none. */
    char **id_list;                    /**< One a row, once asked for. */
};

/** Takes the object over, also on failure. RC_INVALID when nothing in it is SEVIR's. */
enum rc ctl_h5_open(struct ctl_run *run, struct ctl_object *object, struct ctl_h5 *ret_file,
                    struct err *err);
void ctl_h5_done(struct ctl_h5 *file);
static inline void ctl_h5_done_ptr(struct ctl_h5 *file)
{
    ctl_h5_done(file);
}

/** Events of a raster file. */
uint64_t ctl_h5_count(const struct ctl_h5 *file);
/** The id of row `index`; NULL when the file does not tell. */
enum rc ctl_h5_id(struct ctl_run *run, struct ctl_h5 *file, uint64_t index, const char **ret_id,
                  struct err *err);
/** The first row with that id; `ret_times` says how many have it (0: none). */
enum rc ctl_h5_find(struct ctl_run *run, struct ctl_h5 *file, const char *id, uint64_t *ret_index,
                    uint64_t *ret_times, struct err *err);
/** An event's table of flashes in an lght file, or NULL. */
const struct layout_dataset *ctl_h5_flashes(const struct ctl_h5 *file, const char *id);
/** One number of decoded rows. */
double ctl_h5_number(const uint8_t *rows, enum sample sample, size_t index);
