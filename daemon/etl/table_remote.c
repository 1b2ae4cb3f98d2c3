/** @file
 * Any other CSV, made into tables/<table>/ by a remote engine: the same key, the same bytes, but
 * the bytes do not come through us. What the engine has learnt of the columns goes into the data
 * catalog, as a crawl of ours would have put it.
 */
#include <string.h>

#include "daemon/etl/etl_p.h"
#include "daemon/job/job_queue.h"
#include "daemon/job/job_remote.h"
#include "lib/base/mem.h"

struct remote_table {
    struct etl *etl;
    char *key;
    struct catalog_csv_schema schema; /**< Strings are etl's arena's. */
    struct job_output output;
};

/* ---- on the catalog's writer ---- */

static enum rc record_schema(struct db *db, void *arg, struct err *err)
{
    struct remote_table *table = arg;
    const struct etl *etl = table->etl;
    const struct catalog_csv_schema *schema = &table->schema;

    if (catalog_csv_schema_put(db, etl->source, etl->job->object.etag, schema, err) != RC_OK ||
        catalog_table_unite(db, "raw", schema->table, schema->columns, schema->column_count, err) !=
            RC_OK) {
        return err_wrap(err, "table '%s'", schema->table);
    }
    return RC_OK;
}

static void on_recorded(const struct err *err, void *arg)
{
    struct remote_table *table = arg;
    struct etl *etl = table->etl;

    if (err == NULL) {
        etl_add_output(etl, &table->output);
        etl_count_put(etl, 1, table->output.bytes);
    }
    etl_part_done(etl, err);
}

/* ---- on the loop ---- */

/** The names of a header stay as the crawl has seen them; they are the columns' comments. */
static void take_columns(struct remote_table *table, const struct job_remote_made *made)
{
    struct etl *etl = table->etl;
    const struct catalog_csv_schema *known = &etl->schema;
    struct catalog_column *columns =
        arena_alloc(etl->arena, (made->column_count + 1) * sizeof(*columns));

    for (unsigned c = 0; c < made->column_count; c++) {
        const bool same =
            c < known->column_count && strcmp(known->columns[c].name, made->columns[c].name) == 0;

        columns[c] = (struct catalog_column){
            .name = arena_dup(etl->arena, made->columns[c].name),
            .type = arena_dup(etl->arena, made->columns[c].type),
            .comment = same ? known->columns[c].comment : NULL,
        };
    }
    table->schema = *known;
    table->schema.rows = made->rows;
    table->schema.columns = columns;
    table->schema.column_count = made->column_count;
}

static void on_made(const char *run, const struct job_remote_made *made, const struct err *err,
                    void *arg)
{
    struct remote_table *table = arg;
    struct etl *etl = table->etl;

    etl->run = arena_dup(etl->arena, run);
    job_queue_waits(etl->services->queue, etl->job, false);
    if (err != NULL) {
        etl_part_done(etl, err);
        return;
    }
    take_columns(table, made);
    table->output = (struct job_output){.key = table->key,
                                        .kind = OUTPUT_TABLE,
                                        .bytes = made->bytes,
                                        .rows = made->rows,
                                        .quotes = made->quotes};
    memcpy(table->output.sha256, made->sha256, sizeof(table->output.sha256));
    catalog_write(etl->services->catalog, record_schema, on_recorded, table);
}

static enum rc remote_plan(struct etl *etl, struct err *err)
{
    struct remote_table *table = mem_new(struct remote_table);

    (void)err;
    *table = (struct remote_table){
        .etl = etl,
        .key = naming_table_key(etl->schema.table, etl->job->object.key),
    };
    etl->part_state = table;
    etl_plan(etl, table->key);
    return RC_OK;
}

static void remote_make(struct etl *etl)
{
    struct job_remote *remote = etl->services->remote;
    struct remote_table *table = etl->part_state;

    job_queue_waits(etl->services->queue, etl->job, true);
    remote->extract(remote, etl->job, table->key, on_made, table);
}

static void remote_stop(struct etl *etl)
{
    etl->services->remote->leave(etl->services->remote, etl->job);
}

static void remote_free(struct etl *etl)
{
    struct remote_table *table = etl->part_state;

    if (table != NULL) {
        free(table->key);
        free(table);
    }
}

const struct etl_part etl_table_remote = {
    .name = "remote table",
    .plan = remote_plan,
    .make = remote_make,
    .stop = remote_stop,
    .free = remote_free,
};
