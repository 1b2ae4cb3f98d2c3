/** @file
 * Any other CSV: typed and cleaned into tables/<table>/, whatever its size.
 *
 * The object goes through in pieces: a range is fetched, a worker turns it into clean rows, the
 * FILE lane appends them to a file under STATE_DIR/staging, which is put whole at the end. A table
 * that is all there after the first piece is put as it is. table_run() tells the story.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

#include "daemon/catalog/catalog_types.h"
#include "daemon/etl/etl_p.h"
#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/data/csv.h"

#define PIECE ((size_t)4 << 20)
/** What is read at a time: as gzip it may become a thousand times as much. */
#define SLICE ((size_t)4 << 10)
/** A piece, and the clean rows of a part of it: a piece's worth and those of one more slice. */
#define TABLE_MEMORY(piece) ((piece) + 12 * (piece))
/** As much again for a small object, whose parts do not shrink with it. */
#define TABLE_MEMORY_LEAST ((size_t)1 << 20)

struct table {
    struct etl *etl;
    enum table_step { GRANT, FETCH, CLEANING, PUT_SHORT, OPEN, APPEND, PUT, FINISH } step;
    struct budget_ticket ticket;
    char *key, *path;
    int fd;
    struct digest *digest;
    struct csv_reader *reader;
    char *piece;
    size_t piece_len, piece_at;
    bool drained; /**< All of the object is read, and its last row written. */
    uint64_t offset;
    struct strbuf clean;
    enum catalog_type *types;
    bool header_seen;
    struct job_output output;
    struct store_put put; /**< Of a short one. */
    struct store_op *fetch;
    struct err err;
};

static void table_run(struct table *table);

static enum table_step step_after(const struct table *table)
{
    const bool open = table->fd >= 0;

    switch (table->step) {
    case CLEANING:
        return open ? APPEND : table->drained && table->clean.len <= PIECE ? PUT_SHORT : OPEN;
    case PUT_SHORT:
        return FINISH;
    case APPEND:
        return table->drained ? PUT : table->piece_at < table->piece_len ? CLEANING : FETCH;
    default:
        return table->step + 1;
    }
}

static void on_step_done(const struct err *err, void *arg)
{
    struct table *table = arg;

    table->fetch = NULL;
    if (err != NULL) {
        table->err = *err;
        table->step = FINISH;
    } else if (table->etl->stop_asked) {
        err_set(&table->err, RC_CANCELED, "extraction was stopped");
        table->step = FINISH;
    } else {
        table->step = step_after(table);
    }
    table_run(table);
}

static void on_worked(void *arg, bool canceled)
{
    struct table *table = arg;
    const struct err err = table->err;

    (void)canceled;
    on_step_done(err.rc == RC_OK ? NULL : &err, table);
}

/* ---- on a worker: bytes in, clean rows out ---- */

static void write_header(struct table *table)
{
    const struct catalog_csv_schema *schema = &table->etl->schema;

    for (unsigned c = 0; c < schema->column_count; c++) {
        strbuf_puts(&table->clean, c > 0 ? "," : "");
        strbuf_csv(&table->clean, schema->columns[c].name, strlen(schema->columns[c].name));
    }
    strbuf_putc(&table->clean, '\n');
}

static enum rc write_field(struct table *table, const struct csv_row *row, unsigned c,
                           struct err *err)
{
    scoped(strbuf_done) struct strbuf value = {0};

    if (!catalog_type_clean(table->types[c], row->fields[c], row->lens[c], &value)) {
        return err_set(err, RC_INVALID, "line %" PRIu64 " column '%s': '%.60s' is no %s", row->line,
                       table->etl->schema.columns[c].name, row->fields[c],
                       catalog_type_name(table->types[c]));
    }
    strbuf_csv(&table->clean, strbuf_text(&value), value.len);
    return RC_OK;
}

static enum rc on_row(const struct csv_row *row, void *arg, struct err *err)
{
    struct table *table = arg;
    const struct catalog_csv_schema *schema = &table->etl->schema;

    if (!table->header_seen) {
        table->header_seen = true;
        write_header(table);
        if (schema->header) {
            return RC_OK;
        }
    }
    if (row->count != schema->column_count) {
        return err_set(err, RC_INVALID, "line %" PRIu64 ": %u fields, but the header has %u",
                       row->line, row->count, schema->column_count);
    }
    for (unsigned c = 0; c < row->count; c++) {
        if (c > 0) {
            strbuf_putc(&table->clean, ',');
        }
        if (write_field(table, row, c, err) != RC_OK) {
            return err->rc;
        }
    }
    strbuf_putc(&table->clean, '\n');
    table->output.rows++;
    return RC_OK;
}

static void run_clean(void *arg)
{
    struct table *table = arg;
    strbuf_reset(&table->clean);
    while (table->piece_at < table->piece_len && table->clean.len < PIECE) {
        const size_t len = MIN_OF(table->piece_len - table->piece_at, SLICE);

        if (csv_reader_feed(table->reader, table->piece + table->piece_at, len, &table->err) !=
            RC_OK) {
            return;
        }
        table->piece_at += len;
    }
    if (table->piece_at == table->piece_len && table->offset == table->etl->job->object.size) {
        if (csv_reader_end(table->reader, &table->err) != RC_OK) {
            return;
        }
        if (!table->header_seen) {
            write_header(table);
        }
        table->drained = true;
    }
    digest_add(table->digest, table->clean.data, table->clean.len);
    table->output.bytes += table->clean.len;
    if (csv_quotes_of(table->clean.data, table->clean.len) == CSV_QUOTES_SOME) {
        table->output.quotes = CSV_QUOTES_SOME;
    }
}

/* ---- on the FILE lane ---- */

static void run_open(void *arg)
{
    struct table *table = arg;
    scoped(free) char *dir = str_printf("%s/staging", table->etl->conf->state_dir);

    if (fs_mkdirs(dir, 0700, &table->err) != RC_OK) {
        return;
    }
    table->fd = open(table->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (table->fd < 0) {
        err_errno(&table->err, errno, "create '%s'", table->path);
    }
}

static void run_append(void *arg)
{
    struct table *table = arg;

    if (fs_write_all(table->fd, table->clean.data, table->clean.len, &table->err) != RC_OK) {
        err_wrap(&table->err, "write '%s'", table->path);
    }
}

/* ---- the story ---- */

/** What is read at a time. What is packed may fill a whole piece, however small it is. */
static size_t piece_of(const struct etl *etl)
{
    return etl->schema.dialect.gzip ? PIECE : (size_t)MIN_OF(etl->job->object.size, PIECE);
}

static void on_granted(struct budget_ticket *ticket, void *arg)
{
    struct table *table = arg;

    (void)ticket;
    on_step_done(NULL, table);
}

static void table_fetch(struct table *table)
{
    const struct job_object *object = &table->etl->job->object;

    if (table->piece == NULL) {
        table->piece = mem_resize(NULL, piece_of(table->etl), 1);
    }
    table->piece_at = 0;
    table->piece_len = (size_t)MIN_OF(object->size - table->offset, PIECE);
    const uint64_t offset = table->offset;

    table->offset += table->piece_len;
    table->fetch = store_get(table->etl->services->raw, object->key, object->version, object->etag,
                             offset, table->piece_len, table->piece, on_step_done, table);
}

static void table_finish(struct table *table)
{
    struct etl *etl = table->etl;

    if (table->fd >= 0) {
        close(table->fd);
        unlink(table->path);
        table->fd = -1;
    }
    free(TAKE(table->piece));
    strbuf_done(&table->clean);
    budget_release(etl->services->budget, &table->ticket);
    if (table->err.rc == RC_OK) {
        digest_end(table->digest, table->output.sha256);
        etl_add_output(etl, &table->output);
        etl_count_put(etl, 1, table->output.bytes);
    }
    etl_part_done(etl, table->err.rc == RC_OK ? NULL : &table->err);
}

static void table_run(struct table *table)
{
    struct services *services = table->etl->services;
    struct err err;

    switch (table->step) {
    case GRANT:
        if (budget_acquire(services->budget, &table->ticket,
                           TABLE_MEMORY(piece_of(table->etl)) + TABLE_MEMORY_LEAST, on_granted,
                           table, &err) != RC_OK) {
            on_step_done(&err, table);
        }
        return;

    case FETCH: /* store: a piece */
        table_fetch(table);
        return;

    case CLEANING: /* worker */
        work_submit(services->work, WORK_CPU, run_clean, on_worked, table);
        return;

    case PUT_SHORT: /* store */
        table->put = (struct store_put){
            .key = table->key, .bytes = table->clean.data, .len = table->clean.len};
        store_put(services->processed, &table->put, 1, on_step_done, table);
        return;

    case OPEN: /* disk: the staging file */
        work_submit(services->work, WORK_FILE, run_open, on_worked, table);
        return;

    case APPEND: /* disk */
        work_submit(services->work, WORK_FILE, run_append, on_worked, table);
        return;

    case PUT: /* store: the whole */
        store_put_file(services->processed, table->key, table->path, on_step_done, NULL, table);
        return;

    case FINISH:
        table_finish(table);
        return;
    }
}

/* ---- the part ---- */

static enum rc table_plan(struct etl *etl, struct err *err)
{
    struct table *table = mem_new(struct table);
    const struct catalog_csv_schema *schema = &etl->schema;

    (void)err;
    *table = (struct table){
        .etl = etl,
        .fd = -1,
        .key = naming_table_key(schema->table, etl->job->object.key),
        .path = str_printf("%s/staging/%" PRIu64 ".csv", etl->conf->state_dir, etl->job->id),
        .digest = digest_new(),
        .types = mem_zeroed(schema->column_count * sizeof(*table->types) + 1),
    };
    table->reader = csv_reader_new(etl->job->object.key, on_row, table);
    table->output =
        (struct job_output){.key = table->key, .kind = OUTPUT_TABLE, .quotes = CSV_QUOTES_NONE};
    for (unsigned c = 0; c < schema->column_count; c++) {
        table->types[c] = catalog_type_parse(schema->columns[c].type);
    }
    etl->part_state = table;
    etl_plan(etl, table->key);
    return RC_OK;
}

static void table_begin(void *arg)
{
    table_run(arg);
}

static void table_make(struct etl *etl)
{
    loop_defer(etl->services->loop, table_begin, etl->part_state);
}

static void table_stop(struct etl *etl)
{
    struct table *table = etl->part_state;

    if (table->fetch != NULL) {
        store_cancel(etl->services->raw, table->fetch);
    } else if (table->step == GRANT && table->ticket.state == BUDGET_WAITING) {
        budget_release(etl->services->budget, &table->ticket);
        loop_defer(etl->services->loop, table_begin, table);
        table->step = FINISH;
        err_set(&table->err, RC_CANCELED, "extraction was stopped");
    }
}

static void table_free(struct etl *etl)
{
    struct table *table = etl->part_state;

    if (table == NULL) {
        return;
    }
    csv_reader_free(table->reader);
    digest_free(table->digest);
    free(table->types);
    free(table->key);
    free(table->path);
    free(table);
}

const struct etl_part etl_table_csv = {
    .name = "table",
    .plan = table_plan,
    .make = table_make,
    .stop = table_stop,
    .free = table_free,
};
