/** @file
 * A CSV object, read once from its first byte to its last: its schema, or, for a SEVIR catalog, its
 * rows into `events`.
 *
 * The object comes in pieces. A worker feeds a piece to the reader slice by slice and stops early
 * when enough rows of a catalog wait to be written, so that memory is bounded whatever gzip makes
 * of a slice. csv_run() tells the story.
 */
#include <inttypes.h>

#include "daemon/catalog/catalog_events.h"
#include "daemon/crawl/crawl_p.h"
#include "lib/base/mem.h"
#include "lib/sevir/catalog_row.h"

#define PIECE ((size_t)1 << 20)
/** What is fed at once: deflate makes at most a thousandfold of it. */
#define SLICE ((size_t)8 << 10)
#define BATCH_ROWS 5000u
#define BATCH_BYTES ((size_t)4 << 20)
/** A piece, the longest row, a batch of rows, and the table of columns. */
#define CSV_MEMORY (PIECE + 2 * CSV_ROW_MAX + 2 * BATCH_BYTES)
/** A small object's: a fixed part for the table of columns, and for each byte that it may be a
 * field or a row. */
#define CSV_MEMORY_OF(bytes) (((uint64_t)1 << 20) + 32 * (bytes))

struct crawl_csv {
    struct crawl *crawl;
    enum csv_step { CSV_GRANT, CSV_FETCH, CSV_READ, CSV_STORE, CSV_END } step;
    struct budget_ticket ticket;
    char *piece;
    size_t piece_len, piece_at;
    uint64_t offset; /**< Of the next piece. */
    bool drained;    /**< The reader has been told of the end. */
    struct err err;

    struct csv_reader *reader;
    bool header_seen;
    struct csv_schema *schema;    /**< Any CSV but a catalog. */
    struct catalog_header header; /**< A catalog. */
    struct arena *arena;          /**< Of the batch. */
    struct catalog_row *rows;
    unsigned row_count;
    uint64_t ordinal; /**< Of the batch's first row. */
    int64_t load;
};

static void csv_run(struct crawl_csv *csv);

static bool object_is_read(const struct crawl_csv *csv)
{
    return csv->piece_at == csv->piece_len && csv->offset == csv->crawl->job->object.size;
}

static void csv_step_done(const struct err *err, void *arg)
{
    struct crawl_csv *csv = arg;

    csv->crawl->fetch = NULL;
    if (err != NULL) {
        csv->err = *err;
        csv->step = CSV_END;
    } else if (csv->crawl->stop_asked) {
        err_set(&csv->err, RC_CANCELED, "the crawl was stopped");
        csv->step = CSV_END;
    } else if (csv->step == CSV_READ && csv->row_count == 0) {
        csv->step = csv->drained ? CSV_END : CSV_FETCH;
    } else if (csv->step == CSV_STORE) {
        csv->step = csv->drained                     ? CSV_END
                    : csv->piece_at < csv->piece_len ? CSV_READ
                    : object_is_read(csv)            ? CSV_READ
                                                     : CSV_FETCH;
    } else {
        csv->step++;
    }
    csv_run(csv);
}

/* ---- on a worker: bytes in, a schema or rows out --------------------------------------------- */

static enum rc on_header(struct crawl_csv *csv, const struct csv_row *row, struct err *err)
{
    csv->header_seen = true;
    if (!catalog_header_recognise(row)) {
        csv->schema = csv_schema_new();
        return csv_schema_row(csv->schema, row, err);
    }
    if (catalog_header_check(row, &csv->header, err) != RC_OK) {
        return err_wrap(err, "SEVIR catalog");
    }
    csv->arena = arena_new();
    csv->rows = mem_resize(NULL, BATCH_ROWS, sizeof(*csv->rows));
    return RC_OK;
}

/** A slice may hold more rows than a batch wants; they are kept all the same. */
static enum rc keep_catalog_row(struct crawl_csv *csv, const struct csv_row *row, struct err *err)
{
    if (csv->row_count >= BATCH_ROWS && csv->row_count % BATCH_ROWS == 0) {
        csv->rows = mem_resize(csv->rows, csv->row_count + BATCH_ROWS, sizeof(*csv->rows));
    }
    if (catalog_row_parse(&csv->header, row, csv->arena, &csv->rows[csv->row_count], err) !=
        RC_OK) {
        return err_wrap(err, "SEVIR catalog");
    }
    csv->row_count++;
    return RC_OK;
}

static enum rc on_row(const struct csv_row *row, void *arg, struct err *err)
{
    struct crawl_csv *csv = arg;

    if (!csv->header_seen) {
        return on_header(csv, row, err);
    }
    return csv->schema != NULL ? csv_schema_row(csv->schema, row, err)
                               : keep_catalog_row(csv, row, err);
}

static bool batch_is_full(const struct crawl_csv *csv)
{
    return csv->row_count >= BATCH_ROWS ||
           (csv->arena != NULL && arena_bytes(csv->arena) >= BATCH_BYTES);
}

/** That it is no SEVIR catalog, and what its columns are called. */
static bool knows_enough(const struct crawl_csv *csv)
{
    return csv->crawl->sniffs && csv->schema != NULL;
}

static void run_read(void *arg)
{
    struct crawl_csv *csv = arg;

    while (csv->piece_at < csv->piece_len && !batch_is_full(csv) && !knows_enough(csv)) {
        size_t len = MIN_OF(csv->piece_len - csv->piece_at, SLICE);

        if (csv_reader_feed(csv->reader, csv->piece + csv->piece_at, len, &csv->err) != RC_OK) {
            return;
        }
        csv->piece_at += len;
    }
    if (knows_enough(csv)) {
        csv->drained = true;
    } else if (object_is_read(csv) && !batch_is_full(csv)) {
        csv->drained = csv_reader_end(csv->reader, &csv->err) == RC_OK;
    }
}

static void on_read(void *arg, bool canceled)
{
    struct crawl_csv *csv = arg;
    struct err err = csv->err;

    (void)canceled;
    csv_step_done(err.rc == RC_OK ? NULL : &err, csv);
}

/* ---- on the catalog's writer ----------------------------------------------------------------- */

static enum rc write_batch(struct db *db, void *arg, struct err *err)
{
    struct crawl_csv *csv = arg;
    const struct job_object *object = &csv->crawl->job->object;
    int64_t source;

    if (csv->load == 0 && (catalog_source(db, object->bucket, object->key, &source, err) != RC_OK ||
                           catalog_events_begin(db, source, &csv->load, err) != RC_OK)) {
        csv->load = 0;
        return err->rc;
    }
    for (unsigned i = 0; i < csv->row_count; i++) {
        if (catalog_events_add(db, csv->load, csv->ordinal + i, &csv->rows[i], err) != RC_OK) {
            return err->rc;
        }
    }
    return RC_OK;
}

static void on_written(const struct err *err, void *arg)
{
    struct crawl_csv *csv = arg;

    if (err == NULL) {
        csv->ordinal += csv->row_count;
        csv->row_count = 0;
        arena_reset(csv->arena);
    }
    csv_step_done(err, csv);
}

static enum rc drop_load(struct db *db, void *arg, struct err *err)
{
    const struct crawl_csv *csv = arg;

    return catalog_events_abandon(db, csv->load, err);
}

/* ---- the story ------------------------------------------------------------------------------- */

/** Rows of a small object are small, unless it is packed. */
static uint64_t memory_of(const struct crawl *crawl)
{
    const uint64_t size = crawl->job->object.size;

    return crawl->packed || size >= PIECE ? CSV_MEMORY
                                          : MIN_OF(CSV_MEMORY_OF(size), (uint64_t)CSV_MEMORY);
}

static void on_granted(struct budget_ticket *ticket, void *arg)
{
    (void)ticket;
    csv_step_done(NULL, arg);
}

static void fetch_piece(struct crawl_csv *csv)
{
    const struct job_object *object = &csv->crawl->job->object;
    const uint64_t offset = csv->offset;

    if (csv->piece == NULL) {
        csv->piece = mem_resize(NULL, (size_t)MIN_OF(object->size, PIECE), 1);
    }
    csv->piece_at = 0;
    csv->piece_len = (size_t)MIN_OF(object->size - offset, PIECE);
    csv->offset += csv->piece_len;
    csv->crawl->fetch =
        store_get(csv->crawl->services->raw, object->key, object->version, object->etag, offset,
                  csv->piece_len, csv->piece, csv_step_done, csv);
}

static void take_schema(struct crawl_csv *csv)
{
    struct crawl *crawl = csv->crawl;
    static const char *const delimiters[] = {
        [','] = "comma", [';'] = "semicolon", ['\t'] = "tab", ['|'] = "bar"};
    char *name = catalog_table_name(crawl->job->object.key, "_csv");

    crawl->schema = (struct catalog_csv_schema){
        .table = arena_dup(crawl->arena, name),
        .dialect = *csv_reader_dialect(csv->reader),
    };
    free(name);
    csv_schema_end(csv->schema, crawl->arena, &crawl->schema);
    if (crawl->sniffs) { /* a few rows say nothing of the types of all */
        csv_schema_forget_types(crawl->arena, &crawl->schema);
        snprintf(crawl->reason, sizeof(crawl->reason), "CSV with %u columns, crawled by Glue",
                 crawl->schema.column_count);
        return;
    }
    crawl->rows = crawl->schema.rows;
    snprintf(crawl->reason, sizeof(crawl->reason),
             "CSV%s with %" PRIu64 " rows, %u columns, %s between them%s",
             crawl->schema.dialect.gzip ? " (gzip)" : "", crawl->rows, crawl->schema.column_count,
             delimiters[(unsigned char)crawl->schema.dialect.delimiter],
             crawl->schema.header ? "" : ", no header");
}

static void csv_finish(struct crawl_csv *csv, const struct err *err)
{
    struct crawl *crawl = csv->crawl;
    const struct err kept = err != NULL ? *err : (struct err){.rc = RC_OK};

    budget_release(crawl->services->budget, &csv->ticket);
    free(TAKE(csv->piece));
    if (kept.rc != RC_OK) {
        crawl_step_done(&kept, crawl);
        return;
    }
    if (csv->schema != NULL) {
        take_schema(csv);
    } else if (csv->header_seen) {
        crawl->is_catalog = true;
        crawl->load = csv->load;
        crawl->rows = csv->ordinal;
        snprintf(crawl->reason, sizeof(crawl->reason), "SEVIR catalog with %" PRIu64 " rows",
                 crawl->rows);
    } else {
        crawl->class_ = CLASSIFY_OTHER;
        snprintf(crawl->reason, sizeof(crawl->reason), "the file has no rows");
    }
    crawl_step_done(NULL, crawl);
}

/** The rows are gone or not; what counts is why the reading ended. */
static void on_dropped(const struct err *err, void *arg)
{
    struct crawl_csv *csv = arg;

    (void)err; /* unsettled rows are never seen, and go with the next load */
    csv_finish(csv, &csv->err);
}

static void csv_run(struct crawl_csv *csv)
{
    struct services *services = csv->crawl->services;
    struct err err;

    switch (csv->step) {
    case CSV_GRANT:
        if (budget_acquire(services->budget, &csv->ticket, memory_of(csv->crawl), on_granted, csv,
                           &err) != RC_OK) {
            csv_step_done(&err, csv);
        }
        return;

    case CSV_FETCH: /* store: a piece */
        fetch_piece(csv);
        return;

    case CSV_READ: /* worker: until the piece is read, or a batch of rows is full */
        work_submit(services->work, WORK_CPU, run_read, on_read, csv);
        return;

    case CSV_STORE: /* catalog: the batch */
        catalog_write(services->catalog, write_batch, on_written, csv);
        return;

    case CSV_END:
        if (csv->err.rc != RC_OK && csv->load != 0) {
            catalog_write(services->catalog, drop_load, on_dropped, csv);
        } else {
            csv_finish(csv, csv->err.rc == RC_OK ? NULL : &csv->err);
        }
        return;
    }
}

void crawl_csv_start(struct crawl *crawl)
{
    struct crawl_csv *csv = mem_new(struct crawl_csv);

    *csv = (struct crawl_csv){.crawl = crawl, .step = CSV_GRANT};
    csv->reader = csv_reader_new(str_basename(crawl->job->object.key), on_row, csv);
    crawl->csv = csv;
    csv_run(csv);
}

static void stopped_in_line(void *arg)
{
    struct err err;

    err_set(&err, RC_CANCELED, "the crawl was stopped");
    csv_step_done(&err, arg);
}

/** Everything else ends by itself, soon. */
void crawl_csv_stop(struct crawl *crawl)
{
    struct crawl_csv *csv = crawl->csv;

    if (csv->step == CSV_GRANT && csv->ticket.state == BUDGET_WAITING) {
        budget_release(crawl->services->budget, &csv->ticket);
        loop_defer(crawl->services->loop, stopped_in_line, csv);
    }
}

void crawl_csv_free(struct crawl *crawl)
{
    struct crawl_csv *csv = crawl->csv;

    if (csv == NULL) {
        return;
    }
    csv_reader_free(csv->reader);
    csv_schema_free(csv->schema);
    arena_free(csv->arena);
    free(csv->rows);
    free(csv->piece);
    free(csv);
}
