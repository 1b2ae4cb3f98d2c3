/** @file
 * SEVIR's catalog: its selected rows, typed and cleaned, one CSV a month.
 *
 * The crawl has put the rows into the data catalog already, so they are read back from there: on
 * the read lane, straight into the text of the files.
 */
#include "daemon/catalog/catalog_events.h"
#include "daemon/etl/etl_p.h"
#include "lib/base/mem.h"
#include "lib/base/now.h"
#include "lib/sevir/selection.h"

struct month {
    int year, month;
    struct strbuf text;
    char *key;
    struct job_output output;
};

struct catalog_months {
    struct month *months; /**< Ascending. */
    unsigned count;
    uint64_t limit_left;
    uint64_t rows;
    struct store_put *puts;
};

/* ---- on the read lane ---- */

static struct month *month_of(struct catalog_months *all, int64_t time_utc)
{
    int year, month;
    unsigned at = 0;

    now_civil(time_utc, &year, &month, NULL);
    while (at < all->count && (all->months[at].year < year ||
                               (all->months[at].year == year && all->months[at].month < month))) {
        at++;
    }
    if (at < all->count && all->months[at].year == year && all->months[at].month == month) {
        return &all->months[at];
    }
    all->months = mem_resize(all->months, all->count + 1, sizeof(*all->months));
    memmove(&all->months[at + 1], &all->months[at], (all->count - at) * sizeof(*all->months));
    all->count++;
    all->months[at] = (struct month){.year = year, .month = month};
    catalog_row_write_header(&all->months[at].text);
    return &all->months[at];
}

static enum rc on_row(const struct catalog_row *row, void *arg, struct err *err)
{
    struct etl *etl = arg;
    struct catalog_months *all = etl->part_state;

    (void)err;
    if (!selection_matches(&etl->conf->select, row) || all->limit_left == 0) {
        return RC_OK;
    }
    struct month *month = month_of(all, row->time_utc);

    all->limit_left--;
    all->rows++;
    month->output.rows++;
    catalog_row_write(row, &month->text);
    return RC_OK;
}

enum rc etl_look_up_catalog(struct db *db, struct etl *etl, struct err *err)
{
    struct catalog_months *all = mem_new(struct catalog_months);

    etl->part_state = all;
    all->limit_left = etl->conf->select.limit > 0 ? etl->conf->select.limit : UINT64_MAX;
    if (catalog_events_each(db, etl->source, on_row, etl, err) != RC_OK) {
        return err->rc;
    }
    for (unsigned i = 0; i < all->count; i++) {
        struct month *month = &all->months[i];

        month->key = naming_catalog_key(month->year, month->month, etl->job->object.key);
        month->output.key = month->key;
        month->output.kind = OUTPUT_CATALOG;
        month->output.bytes = month->text.len;
        month->output.quotes = csv_quotes_of(month->text.data, month->text.len);
        digest_sha256(month->text.data, month->text.len, month->output.sha256);
    }
    return RC_OK;
}

/* ---- the part ---- */

static enum rc catalog_plan(struct etl *etl, struct err *err)
{
    struct catalog_months *all = etl->part_state;

    (void)err;
    if (all->rows == 0) {
        etl_note(etl, "the selection takes none of its rows");
    }
    for (unsigned i = 0; i < all->count; i++) {
        etl_plan(etl, all->months[i].key);
    }
    etl->events = all->rows;
    return RC_OK;
}

static void on_put(const struct err *err, void *arg)
{
    struct etl *etl = arg;
    const struct catalog_months *all = etl->part_state;
    uint64_t bytes = 0;

    for (unsigned i = 0; err == NULL && i < all->count; i++) {
        etl_add_output(etl, &all->months[i].output);
        bytes += all->months[i].output.bytes;
    }
    if (err == NULL) {
        etl_count_put(etl, all->count, bytes);
    }
    etl_part_done(etl, err);
}

static void put_none(void *arg)
{
    on_put(NULL, arg);
}

static void catalog_make(struct etl *etl)
{
    struct catalog_months *all = etl->part_state;

    if (all->count == 0) {
        loop_defer(etl->services->loop, put_none, etl);
        return;
    }
    all->puts = mem_resize(NULL, all->count, sizeof(*all->puts));
    for (unsigned i = 0; i < all->count; i++) {
        all->puts[i] = (struct store_put){
            .key = all->months[i].key,
            .bytes = all->months[i].text.data,
            .len = all->months[i].text.len,
            .content_type = "text/csv",
        };
    }
    store_put(etl->services->processed, all->puts, all->count, on_put, etl);
}

/** One put cannot be split: it ends by itself, soon. */
static void catalog_stop(struct etl *etl)
{
    (void)etl;
}

static void catalog_free(struct etl *etl)
{
    struct catalog_months *all = etl->part_state;

    if (all == NULL) {
        return;
    }
    for (unsigned i = 0; i < all->count; i++) {
        strbuf_done(&all->months[i].text);
        free(all->months[i].key);
    }
    free(all->months);
    free(all->puts);
    free(all);
}

const struct etl_part etl_catalog_csv = {
    .name = "catalog",
    .plan = catalog_plan,
    .make = catalog_make,
    .stop = catalog_stop,
    .free = catalog_free,
};
