/** @file
 * What is to be extracted from an object: its rows of the catalog, cut down by the selection.
 */
#include "daemon/etl/etl_p.h"

#include <ctype.h>

#include "daemon/catalog/catalog_events.h"
#include "daemon/catalog/catalog_tables.h"
#include "daemon/job/job_digest.h"
#include "daemon/job/job_remote.h"
#include "lib/base/mem.h"
#include "lib/sevir/selection.h"

/* ---- on the read lane ---- */

/** The selection's limit counts over the whole catalog, so it is resolved over the whole catalog.
 */
struct limit_walk {
    struct etl *etl;
    uint64_t left;
    bool *within; /**< Beside etl->rows. */
};

static bool same_row(const struct catalog_row *a, const struct catalog_row *b)
{
    return a->file_index == b->file_index && a->img_type == b->img_type &&
           strcmp(a->id, b->id) == 0 && strcmp(a->file_name, b->file_name) == 0;
}

static enum rc on_catalog_row(const struct catalog_row *row, void *arg, struct err *err)
{
    struct limit_walk *walk = arg;
    struct etl *etl = walk->etl;

    if (walk->left == 0 || !selection_matches(&etl->conf->select, row)) {
        return RC_OK;
    }
    walk->left--;
    if (strcmp(row->file_name, etl->rows[0].row->file_name) != 0) {
        return RC_OK;
    }
    for (size_t i = 0; i < etl->row_count; i++) {
        if (!walk->within[i] && same_row(row, etl->rows[i].row)) {
            walk->within[i] = true;
            break;
        }
    }
    (void)err;
    return RC_OK;
}

static enum rc apply_limit(struct db *db, struct etl *etl, struct err *err)
{
    scoped(free) bool *within = mem_zeroed(etl->row_count * sizeof(*within) + 1);
    struct limit_walk walk = {.etl = etl, .left = etl->conf->select.limit, .within = within};
    size_t kept = 0;

    if (catalog_events_each(db, 0, on_catalog_row, &walk, err) != RC_OK) {
        return err->rc;
    }
    for (size_t i = 0; i < etl->row_count; i++) {
        if (within[i]) {
            etl->rows[kept++] = etl->rows[i];
        }
    }
    etl->row_count = kept;
    return RC_OK;
}

static enum rc look_up_rows(struct db *db, struct etl *etl, struct err *err)
{
    struct catalog_row *rows = NULL;
    size_t count = 0;

    if (catalog_events_of_file(db, etl->job->object.key, etl->arena, &rows, &count, err) != RC_OK) {
        return err->rc;
    }
    scoped(free) unsigned *repeats = mem_zeroed(count * sizeof(*repeats) + 1);

    if (catalog_events_repeats(db, rows, count, repeats, err) != RC_OK) {
        return err->rc;
    }
    etl->rows = mem_resize(NULL, count, sizeof(*etl->rows));
    for (size_t i = 0; i < count; i++) {
        etl->rows[i] = (struct etl_row){.row = &rows[i], .repeat = repeats[i]};
    }
    etl->rows_known = etl->row_count = count;
    return etl->conf->select.limit > 0 && count > 0 ? apply_limit(db, etl, err) : RC_OK;
}

enum rc etl_look_up(struct db *db, void *arg, struct err *err)
{
    struct etl *etl = arg;
    const struct job_object *object = &etl->job->object;

    if (catalog_source_find(db, object->bucket, object->key, &etl->source, err) != RC_OK ||
        catalog_events_digest(db, object->key, etl->events_digest, err) != RC_OK) {
        return err->rc;
    }
    job_rows_digest(etl->events_digest, &etl->conf->select, etl->rows_digest);
    if (strcmp(etl->job->kind, "other") == 0) {
        return RC_OK; /* no layout, nothing to make: etl_nothing says so */
    }
    if (etl->source == 0) {
        etl->lost = true;
        return err_set(err, RC_NOT_FOUND, "the data catalog does not know '%s'", object->key);
    }
    if (strcmp(etl->job->kind, "catalog") == 0) {
        return etl_look_up_catalog(db, etl, err);
    }
    if (strcmp(etl->job->kind, "csv") == 0) {
        etl->lost = catalog_csv_schema_get(db, etl->source, object->etag, etl->arena, &etl->schema,
                                           err) == RC_NOT_FOUND;
        return etl->schema.table != NULL ? RC_OK : err->rc;
    }
    if (catalog_layout_get(db, etl->source, object->etag, &etl->layout, err) != RC_OK) {
        etl->lost = err->rc == RC_NOT_FOUND;
        return err_wrap(err, "look up '%s'", object->key);
    }
    return look_up_rows(db, etl, err);
}

/* ---- on the loop ---- */

void etl_select_rows(struct etl *etl, unsigned types)
{
    size_t kept = 0;

    for (size_t i = 0; i < etl->row_count; i++) {
        const struct catalog_row *row = etl->rows[i].row;

        if ((types >> row->img_type & 1) != 0 && selection_matches(&etl->conf->select, row)) {
            etl->rows[kept++] = etl->rows[i];
        }
    }
    etl->row_count = kept;
}

/** "S797364", "R18032505027684": what a dataset of a lightning file is called. */
static bool looks_like_event_id(const char *name)
{
    size_t digits = 0;

    if (name[0] != 'S' && name[0] != 'R') {
        return false;
    }
    while (isdigit((unsigned char)name[1 + digits])) {
        digits++;
    }
    return digits >= 4 && name[1 + digits] == '\0';
}

/** Whether the catalog says so of a dataset (n, 5) that the file has, whatever its id looks like.
 */
static bool holds_listed_flashes(const struct etl *etl)
{
    for (size_t i = 0; etl->layout != NULL && i < etl->row_count; i++) {
        const struct catalog_row *row = etl->rows[i].row;
        const struct layout_dataset *dataset =
            row->img_type == SEVIR_LGHT ? layout_find(etl->layout, row->id) : NULL;

        if (dataset != NULL && dataset->rank == 2 && dataset->dims[1] == 5) {
            return true;
        }
    }
    return false;
}

/** A raster file has a dataset named after its type, (N, H, W, T); a lightning file has one dataset
 * (n, 5) an event, named after it. */
const struct etl_part *etl_choose_part(const struct etl *etl)
{
    if (strcmp(etl->job->kind, "csv") == 0) {
        const struct job_remote *remote = etl->services->remote;

        return remote != NULL && remote->extracts ? &etl_table_remote : &etl_table_csv;
    }
    if (strcmp(etl->job->kind, "catalog") == 0) {
        return &etl_catalog_csv;
    }
    for (uint32_t i = 0; etl->layout != NULL && i < etl->layout->dataset_count; i++) {
        const struct layout_dataset *dataset = &etl->layout->datasets[i];
        enum sevir_type type;

        if (sevir_type_parse(dataset->name, &type) && type != SEVIR_LGHT && dataset->rank == 4) {
            return &etl_frames;
        }
        if (dataset->rank == 2 && dataset->dims[1] == 5 && looks_like_event_id(dataset->name)) {
            return &etl_flashes;
        }
    }
    return holds_listed_flashes(etl) ? &etl_flashes : &etl_nothing;
}

/* ---- a file of another kind, or an HDF5 file that is not SEVIR's: nothing to extract ---- */

/** The catalog lists events of a file that has no dataset for any of them. */
static enum rc refuse_without_datasets(const struct etl *etl, struct err *err)
{
    const struct catalog_row *row = etl->rows[0].row;
    const bool is_flashes = row->img_type == SEVIR_LGHT;

    return err_set(err, RC_INVALID,
                   "the catalog lists %zu of its events, as '%s' of type %s, but it has no dataset "
                   "'%s' of shape %s",
                   etl->row_count, row->id, sevir_type_name(row->img_type),
                   is_flashes ? row->id : sevir_type_name(row->img_type),
                   is_flashes ? "(n, 5)" : "(N, H, W, T)");
}

static enum rc plan_nothing(struct etl *etl, struct err *err)
{
    if (etl->layout == NULL) {
        etl_end_early(etl, JOB_EV_EXCLUDED, "%s",
                      etl->job->object.size == 0 ? "the object is empty" : "neither HDF5 nor CSV");
        return RC_OK;
    }
    etl_select_rows(etl, ~0u);
    if (etl->row_count > 0) {
        return refuse_without_datasets(etl, err);
    }
    if (etl->rows_known > 0) {
        etl_end_early(etl, JOB_EV_EXCLUDED, "none of its %zu events is selected", etl->rows_known);
        return RC_OK;
    }
    etl_note(etl, "not a SEVIR file: its datasets are in the data catalog, nothing is extracted");
    return RC_OK;
}

static void nothing_made(void *arg)
{
    etl_part_done(arg, NULL);
}

static void make_nothing(struct etl *etl)
{
    loop_defer(etl->services->loop, nothing_made, etl);
}

static void nothing_to_do(struct etl *etl)
{
    (void)etl;
}

const struct etl_part etl_nothing = {
    .name = "nothing",
    .plan = plan_nothing,
    .make = make_nothing,
    .stop = nothing_to_do,
    .free = nothing_to_do,
};
