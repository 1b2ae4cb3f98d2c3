/** @file
 * Lightning files: rows of `flashes`, from one dataset (n, 5) an event, named after it.
 *
 * Columns of a dataset: seconds from the event's time, latitude, longitude, x and y on the event's
 * grid (docs/sevir.md).
 */
#include <inttypes.h>
#include <math.h>

#include "daemon/etl/month_files.h"
#include "daemon/etl/units.h"
#include "daemon/metrics.h"
#include "lib/base/mem.h"
#include "lib/base/now.h"
#include "lib/sevir/selection.h"

#define FLASH_COLUMNS 5
#define FLASH_LINE 160 /**< Bytes of a line, generously. */

static const char flashes_header[] = "id,time_utc,t,lat,lon,x,y\n";

struct flashes {
    struct units *units;
    struct month_files *files;
};

static const struct layout_dataset *dataset_of(const struct etl *etl, const char *id)
{
    const struct layout_dataset *dataset = layout_find(etl->layout, id);

    return dataset != NULL && dataset->rank == 2 && dataset->dims[1] == FLASH_COLUMNS ? dataset
                                                                                      : NULL;
}

static char *flashes_key(const struct etl *etl, enum sevir_type type, int year, int month)
{
    (void)type;
    return naming_flashes_key(year, month, etl->job->object.key);
}

/* ---- work ---- */

static double value_at(const void *values, enum sample sample, size_t i)
{
    switch (sample) {
    case SAMPLE_U8:
        return ((const uint8_t *)values)[i];
    case SAMPLE_I8:
        return ((const int8_t *)values)[i];
    case SAMPLE_U16:
        return ((const uint16_t *)values)[i];
    case SAMPLE_I16:
        return ((const int16_t *)values)[i];
    case SAMPLE_U32:
        return ((const uint32_t *)values)[i];
    case SAMPLE_I32:
        return ((const int32_t *)values)[i];
    case SAMPLE_U64:
        return (double)((const uint64_t *)values)[i];
    case SAMPLE_I64:
        return (double)((const int64_t *)values)[i];
    case SAMPLE_F32:
        return (double)((const float *)values)[i];
    case SAMPLE_F64:
        return ((const double *)values)[i];
    }
    return NAN;
}

static void write_flash(const struct catalog_row *row, const double flash[FLASH_COLUMNS],
                        struct strbuf *lines)
{
    const double seconds = floor(flash[0]);
    char time[NOW_TEXT] = "";

    if (fabs(seconds) < 1e9) { /* else not a time: the cell stays empty, `t` says what was there */
        now_format_utc(row->time_utc + (int64_t)seconds, time);
    }
    strbuf_csv(lines, row->id, strlen(row->id));
    strbuf_putc(lines, ',');
    strbuf_puts(lines, time);
    for (unsigned c = 0; c < FLASH_COLUMNS; c++) {
        strbuf_putc(lines, ',');
        if (isfinite(flash[c])) {
            strbuf_double(lines, flash[c]);
        }
    }
    strbuf_putc(lines, '\n');
}

/** On a worker. */
static enum rc flashes_work(const struct etl *etl, struct unit *unit, const uint8_t *rows,
                            struct err *err)
{
    const struct unit_item *item = unit->item;
    enum sample sample;

    if (sample_of(&item->dataset->dtype, &sample, err) != RC_OK) {
        return err_wrap(err, "dataset '%s'", item->dataset->name);
    }
    for (uint64_t f = 0; f < item->count; f++) {
        double flash[FLASH_COLUMNS];

        for (unsigned c = 0; c < FLASH_COLUMNS; c++) {
            flash[c] = value_at(rows, sample, f * FLASH_COLUMNS + c);
        }
        write_flash(etl->rows[item->from].row, flash, &unit->output.rows);
    }
    return RC_OK;
}

static void flashes_collect(struct etl *etl, struct unit *unit)
{
    const struct flashes *flashes = etl->part_state;
    const size_t len = unit->output.rows.len;

    month_files_add(flashes->files, unit->item->from,
                    str_dup_n(strbuf_text(&unit->output.rows), len), len, unit->item->count);
}

static void on_files_put(const struct err *err, void *arg)
{
    etl_part_done(arg, err);
}

static void flashes_complete(struct etl *etl)
{
    const struct flashes *flashes = etl->part_state;

    etl->events += etl->row_count;
    metric_add(etl->services->metrics, METRIC_EXTRACT_EVENTS, METRIC_LABELS("lght"),
               (double)etl->row_count);
    month_files_put(flashes->files, on_files_put, etl);
}

static const struct units_ops flashes_ops = {
    .work = flashes_work,
    .collect = flashes_collect,
    .complete = flashes_complete,
};

/* ---- the part ---- */

/** Rows whose event the file lacks are told, in the manifest and the log, and left out. */
static void drop_missing(struct etl *etl)
{
    size_t kept = 0;

    for (size_t i = 0; i < etl->row_count; i++) {
        if (dataset_of(etl, etl->rows[i].row->id) != NULL) {
            etl->rows[kept++] = etl->rows[i];
        } else {
            etl_note(etl, "the catalog lists event '%s', of which the file has no dataset (n, 5)",
                     etl->rows[i].row->id);
        }
    }
    etl->row_count = kept;
}

static struct unit_item *make_items(const struct etl *etl, size_t *ret_count)
{
    struct unit_item *items = mem_zeroed(etl->row_count * sizeof(*items) + 1);
    size_t count = 0;

    for (size_t i = 0; i < etl->row_count; i++) {
        const struct layout_dataset *dataset = dataset_of(etl, etl->rows[i].row->id);

        if (dataset->dims[0] == 0) {
            continue; /* an event without a flash: no line */
        }
        items[count++] = (struct unit_item){
            .dataset = dataset,
            .first = 0,
            .count = dataset->dims[0],
            .from = i,
            .to = i + 1,
            .render_bytes = dataset->dims[0] * FLASH_LINE,
        };
    }
    *ret_count = count;
    return items;
}

static enum rc flashes_plan(struct etl *etl, struct err *err)
{
    if (!selection_wants_type(&etl->conf->select, SEVIR_LGHT)) {
        etl_end_early(etl, JOB_EV_EXCLUDED, "its image type is not selected");
        return RC_OK;
    }
    if (etl->rows_known == 0) {
        etl_end_early(etl, JOB_EV_HELD, "the catalog has no rows for it yet");
        return RC_OK;
    }
    etl_select_rows(etl, 1u << SEVIR_LGHT);
    if (etl->row_count == 0) {
        etl_end_early(etl, JOB_EV_EXCLUDED, "none of its %zu events is selected", etl->rows_known);
        return RC_OK;
    }
    drop_missing(etl);
    if (etl->row_count == 0) {
        return err_set(err, RC_INVALID,
                       "the file has none of the %zu events that the catalog lists",
                       etl->rows_known);
    }
    struct flashes *flashes = mem_new(struct flashes);
    size_t count = 0;

    etl->part_state = flashes;
    flashes->files = month_files_new(etl, OUTPUT_FLASHES, flashes_header, flashes_key);
    month_files_plan(flashes->files);
    struct unit_item *items = make_items(etl, &count);

    flashes->units = units_new(etl, &flashes_ops, items, count);
    return RC_OK;
}

static void flashes_make(struct etl *etl)
{
    const struct flashes *flashes = etl->part_state;

    units_start(flashes->units);
}

static void flashes_stop(struct etl *etl)
{
    const struct flashes *flashes = etl->part_state;

    units_stop(flashes->units);
}

static void flashes_free(struct etl *etl)
{
    struct flashes *flashes = etl->part_state;

    if (flashes == NULL) {
        return;
    }
    units_free(flashes->units);
    month_files_free(flashes->files);
    free(flashes);
}

const struct etl_part etl_flashes = {
    .name = "flashes",
    .plan = flashes_plan,
    .make = flashes_make,
    .stop = flashes_stop,
    .free = flashes_free,
};
