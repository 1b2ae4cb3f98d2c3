/** @file
 * The rows of published CSV files, from the store into SQL, a piece at a time.
 *
 * A piece ends where a row ends: after a newline outside quotes. The files are our own, so quotes
 * are balanced, and the header is the first line.
 */
#include "daemon/catalog/catalog_facts.h"
#include "daemon/catalog/catalog_outputs.h"
#include "daemon/publish/publish_p.h"
#include "lib/base/mem.h"

#define PIECE ((size_t)4 << 20)
/** A piece, a row that was cut, and what SQLite keeps of them. */
#define LOAD_MEMORY(piece) (4 * (piece) + ((size_t)64 << 10))

struct rows_load {
    struct services *services;
    const struct job *job;
    const struct job_manifest *manifest;
    int64_t source;
    const bool *stop_asked;
    store_done_fn *done;
    void *arg;

    struct budget_ticket ticket;
    size_t most; /**< A piece, or the longest output where all are shorter. */
    size_t at;   /**< Output. */
    uint64_t offset;
    char *piece;
    size_t piece_len;
    char *header; /**< With its newline; NULL before the first piece of an output. */
    struct strbuf text;
    size_t whole; /**< Bytes of `text` that are whole rows. */
    bool quoted;  /**< At the end of `text`. */
};

static void load_next(struct rows_load *load);

static const char *sql_table(const struct rows_load *load)
{
    switch (load->manifest->outputs[load->at].kind) {
    case OUTPUT_FRAMES:
        return "frames";
    case OUTPUT_FLASHES:
        return "flashes";
    case OUTPUT_TABLE:
        return load->job->table;
    case OUTPUT_CATALOG: /* the crawl has loaded them into `events` */
    case OUTPUT_IMAGE:
    case OUTPUT_SHEET:
    case OUTPUT_PACKED:
    case OUTPUT_COUNT:
        break;
    }
    return NULL;
}

static void load_end(struct rows_load *load, const struct err *err)
{
    load->done(err, load->arg);
    budget_release(load->services->budget, &load->ticket);
    strbuf_done(&load->text);
    free(load->header);
    free(load->piece);
    free(load);
}

/** Find the end of the last whole row, going on where the last piece ended. */
static void take_piece(struct rows_load *load)
{
    const size_t begin = load->text.len;

    strbuf_add(&load->text, load->piece, load->piece_len);
    for (size_t i = begin; i < load->text.len; i++) {
        const char c = load->text.data[i];

        load->quoted ^= c == '"';
        if (c == '\n' && !load->quoted) {
            load->whole = i + 1;
            if (load->header == NULL) {
                load->header = str_dup_n(load->text.data, load->whole);
            }
        }
    }
}

/** On the catalog's writer. */
static enum rc run_load(struct db *db, void *arg, struct err *err)
{
    const struct rows_load *load = arg;

    return catalog_rows_load(db, load->source, sql_table(load), load->text.data, load->whole, err);
}

static void on_loaded(const struct err *err, void *arg)
{
    struct rows_load *load = arg;

    struct err stopped;

    if (err == NULL && *load->stop_asked) {
        err_set(&stopped, RC_CANCELED, "publishing was stopped");
        err = &stopped;
    }
    if (err != NULL) {
        load_end(load, err);
        return;
    }
    /* Every piece begins with the header; then comes the row that was cut. */
    scoped(free) char *rest =
        str_dup_n(load->text.data + load->whole, load->text.len - load->whole);
    const size_t rest_len = load->text.len - load->whole;

    strbuf_reset(&load->text);
    strbuf_puts(&load->text, load->header);
    strbuf_add(&load->text, rest, rest_len);
    load->whole = 0;
    load_next(load);
}

static void on_piece(const struct err *err, void *arg)
{
    struct rows_load *load = arg;

    if (err != NULL) {
        load_end(load, err);
        return;
    }
    load->offset += load->piece_len;
    take_piece(load);
    if (load->whole == 0) { /* one row longer than a piece */
        load_next(load);
        return;
    }
    catalog_write(load->services->catalog, run_load, on_loaded, load);
}

/** On the catalog's writer. */
static enum rc run_facts(struct db *db, void *arg, struct err *err)
{
    const struct rows_load *load = arg;

    return catalog_facts_loaded(db, load->source, err);
}

static void on_facts(const struct err *err, void *arg)
{
    load_end(arg, err);
}

static void next_output(struct rows_load *load)
{
    load->at++;
    load->offset = 0;
    load->whole = 0;
    load->quoted = false;
    free(TAKE(load->header));
    strbuf_reset(&load->text);
}

static void load_next(struct rows_load *load)
{
    const struct job_manifest *manifest = load->manifest;

    while (load->at < manifest->output_count &&
           (sql_table(load) == NULL || load->offset == manifest->outputs[load->at].bytes)) {
        next_output(load);
    }
    if (load->at == manifest->output_count) {
        catalog_write(load->services->catalog, run_facts, on_facts, load);
        return;
    }
    const struct job_output *output = &manifest->outputs[load->at];

    load->piece_len = (size_t)MIN_OF(output->bytes - load->offset, PIECE);
    store_get(load->services->processed, output->key, NULL, NULL, load->offset, load->piece_len,
              load->piece, on_piece, load);
}

static void load_begin(void *arg)
{
    struct rows_load *load = arg;

    load->piece = mem_resize(NULL, load->most, 1);
    load_next(load);
}

static void on_granted(struct budget_ticket *ticket, void *arg)
{
    struct rows_load *load = arg;

    (void)ticket;
    loop_defer(load->services->loop, load_begin, load);
}

static void load_nothing(void *arg)
{
    load_end(arg, NULL);
}

void rows_load_start(struct services *services, const struct job *job,
                     const struct job_manifest *manifest, int64_t source, const bool *stop_asked,
                     store_done_fn *done, void *arg)
{
    struct rows_load *load = mem_new(struct rows_load);
    struct err err;

    *load = (struct rows_load){
        .services = services,
        .job = job,
        .manifest = manifest,
        .source = source,
        .stop_asked = stop_asked,
        .done = done,
        .arg = arg,
    };
    for (load->at = manifest->output_count; load->at > 0;) {
        load->at--;
        if (sql_table(load) != NULL) {
            load->most =
                (size_t)MIN_OF(MAX_OF(manifest->outputs[load->at].bytes, load->most), PIECE);
        }
    }
    while (load->at < manifest->output_count && sql_table(load) == NULL) {
        load->at++;
    }
    if (load->at == manifest->output_count) {
        loop_defer(services->loop, load_nothing, load);
    } else if (budget_acquire(services->budget, &load->ticket, LOAD_MEMORY(load->most), on_granted,
                              load, &err) != RC_OK) {
        load_end(load, &err); /* only a budget of less than a piece */
    }
}
