/** @file
 * Rows of a dataset from a store to memory.
 *
 * Ranges are cut into pieces so that several connections share a large one, more of them the
 * further away the store is (decisions/0045); pieces are numbered through all ranges and go out in
 * that order, a few at a time. Where the plan is refused as unsupported, the helper decodes
 * to where others are fetched.
 */
#include "lib/h5/h5_slab.h"

#include <assert.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/h5/h5_helper_p.h"

#define PIECE_BYTES (4ull << 20)
#define FAR_PIECE_BYTES (5ull << 18)
#define IN_FLIGHT 8
/** Fetching this much too much is cheaper than one more request. */
#define MAX_GAP 65536

struct piece {
    struct h5_slab *slab;
    struct store_op *op; /**< NULL: free. */
    size_t len;
    bool busy;
};

enum buffer { FETCHED, ROWS, SCRATCH, BUFFERS };

struct h5_slab {
    struct h5_helper *helper;
    struct h5_object object;
    const struct layout_dataset *dataset;
    uint64_t first, count;
    uint64_t rows_bytes;
    bool by_frames;
    struct slab_plan *plan;                           /**< NULL: the helper decodes. */
    struct h5_buffer own[BUFFERS], *buffers[BUFFERS]; /**< Its own, or what was lent instead. */
    uint8_t *fetched, *rows;                          /**< In there; NULL: nothing of it yet. */

    /* While fetching */
    store_done_fn *done;
    void *arg;
    struct piece pieces[IN_FLIGHT];
    unsigned in_flight;
    size_t next_range;
    uint64_t next_at; /**< Within that range. */
    uint64_t arrived;
    struct h5_call *call;
    struct err err; /**< The first failure; rc RC_OK while there is none. */
};

void h5_buffer_free(struct h5_buffer *buffer)
{
    free(buffer->bytes);
    *buffer = (struct h5_buffer){0};
}

/** Room for `bytes`, of whatever was there before; NULL when there is no memory. */
static uint8_t *take_buffer(struct h5_slab *slab, enum buffer which, uint64_t bytes)
{
    struct h5_buffer *buffer = slab->buffers[which];

    if (buffer->bytes == NULL || buffer->cap < bytes) {
        h5_buffer_free(buffer);
        buffer->bytes = mem_try(1, (size_t)bytes);
        buffer->cap = buffer->bytes != NULL ? (size_t)bytes : 0;
    }
    return buffer->bytes;
}

/** What was lent is kept by its lender. */
static void drop_buffer(struct h5_slab *slab, enum buffer which)
{
    h5_buffer_free(&slab->own[which]);
}

static void drop_rows(struct h5_slab *slab)
{
    slab->fetched = slab->rows = NULL;
    drop_buffer(slab, FETCHED);
    drop_buffer(slab, ROWS);
}

void h5_slab_lend(struct h5_slab *slab, struct h5_buffer *fetched)
{
    slab->buffers[FETCHED] = fetched;
}

void h5_slab_lend_rows(struct h5_slab *slab, struct h5_buffer *rows, struct h5_buffer *scratch)
{
    slab->buffers[ROWS] = rows;
    slab->buffers[SCRATCH] = scratch;
}

static enum rc plan_indirect(struct h5_slab *slab, const struct err *why, struct err *err)
{
    const struct layout_dataset *dataset = slab->dataset;

    if (slab->dataset->storage == LAYOUT_VIRTUAL || dataset->dtype.class_ == LAYOUT_OTHER) {
        *err = *why;
        return err->rc;
    }
    if (dataset->rank == 0 || slab->count > dataset->dims[0] ||
        slab->first > dataset->dims[0] - slab->count) {
        return err_set(err, RC_INVALID, "dataset '%.80s' has no such rows", dataset->name);
    }
    if (__builtin_mul_overflow(layout_row_bytes(dataset), slab->count, &slab->rows_bytes)) {
        return err_set(err, RC_INVALID, "dataset '%.80s': rows too large", dataset->name);
    }
    return RC_OK;
}

/** Rows that lie side by side are fetched together up to this many decoded bytes. */
#define SIDE_BY_SIDE_BYTES ((uint64_t)4 << 20)
/** A chunk that several rows share is inflated once for all of them up to this many. */
#define SHARED_BYTES ((uint64_t)64 << 20)

bool h5_rows_together(const struct layout_dataset *dataset, uint64_t first, uint64_t last,
                      uint64_t at)
{
    const uint64_t depth = dataset->storage == LAYOUT_CHUNKED ? dataset->chunk_dims[0] : 1;
    const uint64_t row_bytes = layout_row_bytes(dataset);
    const bool together = depth > 1 ? at / depth == first / depth : at <= last + 1;

    return together && row_bytes > 0 &&
           at - first + 1 <= (depth > 1 ? SHARED_BYTES : SIDE_BY_SIDE_BYTES) / row_bytes;
}

enum rc h5_slab_open(struct h5_helper *helper, const struct h5_object *object,
                     const struct layout *layout, const struct layout_dataset *dataset,
                     uint64_t first, uint64_t count, struct h5_slab **ret_slab, struct err *err)
{
    scoped(h5_slab_free) struct h5_slab *slab = mem_new(struct h5_slab);
    struct err why;
    enum rc rc;

    for (unsigned i = 0; i < BUFFERS; i++) {
        slab->buffers[i] = &slab->own[i];
    }
    slab->helper = helper;
    slab->object = *object;
    slab->dataset = dataset;
    slab->first = first;
    slab->count = count;
    rc = slab_plan(dataset, layout->file_size, first, count, MAX_GAP, &slab->plan, &why);
    if (rc == RC_OK) {
        slab->rows_bytes = slab->plan->decoded_bytes;
    } else if (rc == RC_UNSUPPORTED) {
        rc = plan_indirect(slab, &why, err);
    } else {
        *err = why;
    }
    if (rc != RC_OK) {
        return rc;
    }
    *ret_slab = TAKE(slab);
    return RC_OK;
}

void h5_slab_free(struct h5_slab *slab)
{
    if (slab == NULL) {
        return;
    }
    assert(slab->in_flight == 0 && slab->call == NULL);
    slab_plan_free(slab->plan);
    drop_rows(slab);
    drop_buffer(slab, SCRATCH);
    free(slab);
}

void h5_slab_by_frames(struct h5_slab *slab)
{
    slab->by_frames = true;
    if (slab->plan != NULL) {
        slab_by_frames(slab->plan);
    }
}

/** Whether what is fetched already is the rows. */
static bool is_verbatim(const struct h5_slab *slab)
{
    return slab->plan != NULL ? slab_is_verbatim(slab->plan) : !slab->by_frames;
}

static uint64_t scratch_bytes(const struct h5_slab *slab)
{
    return slab->plan != NULL ? slab->plan->scratch_bytes : 0;
}

uint64_t h5_slab_decoded_bytes(const struct h5_slab *slab)
{
    uint64_t bytes = slab->rows_bytes;

    if (!is_verbatim(slab) && __builtin_add_overflow(bytes, scratch_bytes(slab), &bytes)) {
        return UINT64_MAX;
    }
    return bytes;
}

uint64_t h5_slab_bytes(const struct h5_slab *slab)
{
    uint64_t bytes = h5_slab_decoded_bytes(slab);

    if (!is_verbatim(slab) && __builtin_add_overflow(bytes, h5_slab_fetch_bytes(slab), &bytes)) {
        return UINT64_MAX;
    }
    return bytes;
}

uint64_t h5_slab_fetch_bytes(const struct h5_slab *slab)
{
    return slab->plan != NULL ? slab->plan->fetch_bytes : slab->rows_bytes;
}

uint64_t h5_slab_needed_bytes(const struct h5_slab *slab)
{
    return slab->plan != NULL ? slab->plan->needed_bytes : slab->rows_bytes;
}

uint64_t h5_slab_arrived_bytes(const struct h5_slab *slab)
{
    return slab->arrived;
}

/** Nothing is in flight and nothing will be: tell, once. */
static void finish(struct h5_slab *slab)
{
    store_done_fn *done = TAKE(slab->done);
    const struct err err = slab->err; /* `done` may free the slab */

    if (err.rc != RC_OK) {
        drop_rows(slab);
    }
    done(err.rc != RC_OK ? &err : NULL, slab->arg);
}

static void on_rows(const struct err *err, void *arg)
{
    struct h5_slab *slab = arg;

    slab->call = NULL;
    if (err != NULL && slab->err.rc == RC_OK) {
        slab->err = *err;
    }
    finish(slab);
}

/** Bytes of the pieces of a range of `len`: all alike, so that none is waited for alone. */
static uint64_t piece_bytes(const struct h5_slab *slab, uint64_t len)
{
    const uint64_t most = store_is_near(slab->object.store) ? PIECE_BYTES : FAR_PIECE_BYTES;
    const uint64_t count = (len + most - 1) / most;

    return (len + count - 1) / count;
}

static bool more_pieces(const struct h5_slab *slab)
{
    return slab->err.rc == RC_OK && slab->next_range < slab->plan->range_count;
}

static void on_piece(const struct err *err, void *arg);

static void start_pieces(struct h5_slab *slab)
{
    for (unsigned i = 0; i < IN_FLIGHT && more_pieces(slab); i++) {
        struct piece *piece = &slab->pieces[i];
        const struct slab_range *range = &slab->plan->ranges[slab->next_range];
        const uint64_t at = slab->next_at;
        const size_t len = (size_t)MIN_OF(piece_bytes(slab, range->len), range->len - at);

        if (piece->busy) {
            continue;
        }
        slab->next_at += len;
        if (slab->next_at == range->len) {
            slab->next_range++;
            slab->next_at = 0;
        }
        slab->in_flight++;
        piece->busy = true;
        piece->len = len;
        piece->slab = slab;
        piece->op =
            store_get(slab->object.store, slab->object.key, slab->object.version, slab->object.etag,
                      range->offset + at, len, slab->fetched + range->at + at, on_piece, piece);
    }
}

static void cancel_pieces(struct h5_slab *slab)
{
    for (unsigned i = 0; i < IN_FLIGHT; i++) {
        if (slab->pieces[i].busy) {
            store_cancel(slab->object.store, slab->pieces[i].op);
        }
    }
}

static void on_piece(const struct err *err, void *arg)
{
    struct piece *piece = arg;
    struct h5_slab *slab = piece->slab;

    piece->busy = false;
    piece->op = NULL;
    slab->in_flight--;
    slab->arrived += err == NULL ? piece->len : 0;
    if (err != NULL && slab->err.rc == RC_OK) {
        slab->err = *err;
        cancel_pieces(slab);
    }
    start_pieces(slab);
    if (slab->in_flight == 0) {
        finish(slab);
    }
}

static void finish_deferred(void *arg)
{
    finish(arg);
}

void h5_slab_fetch(struct h5_slab *slab, store_done_fn *done, void *arg)
{
    assert(slab->done == NULL);
    slab->done = done;
    slab->arg = arg;
    slab->err = (struct err){.rc = RC_OK};
    drop_rows(slab);
    slab->next_range = 0;
    slab->next_at = 0;
    slab->arrived = 0;
    /* The budget should have prevented that there is none. */
    slab->fetched = take_buffer(slab, FETCHED, h5_slab_fetch_bytes(slab));
    if (slab->fetched == NULL) {
        err_set(&slab->err, RC_LIMIT, "dataset '%.80s': no memory for its rows",
                slab->dataset->name);
    } else if (slab->plan == NULL) {
        slab->call = h5_rows(slab->helper, &slab->object, slab->dataset, slab->first, slab->count,
                             slab->fetched, (size_t)slab->rows_bytes, on_rows, slab);
        return;
    } else {
        start_pieces(slab);
    }
    if (slab->in_flight == 0) {
        loop_defer(slab->helper->loop, finish_deferred, slab);
    }
}

void h5_slab_cancel(struct h5_slab *slab)
{
    if (slab->done == NULL) {
        return;
    }
    if (slab->err.rc == RC_OK) {
        err_set(&slab->err, RC_CANCELED, "canceled");
    }
    if (slab->call != NULL) {
        h5_cancel(slab->call);
    }
    cancel_pieces(slab);
}

/** What was never written is not fetched: the buffer may be empty. */
static enum rc decode(struct h5_slab *slab, struct err *err)
{
    uint8_t *scratch = take_buffer(slab, SCRATCH, scratch_bytes(slab));
    uint8_t *rows = take_buffer(slab, ROWS, slab->rows_bytes);
    enum rc rc = RC_OK;

    if (scratch == NULL || rows == NULL) {
        return err_set(err, RC_LIMIT, "dataset '%.80s': no memory to decode", slab->dataset->name);
    }
    if (slab->plan != NULL) {
        rc = slab_decode(slab->plan, slab->fetched, rows, scratch, err);
    } else {
        slab_turn_rows(slab->dataset, slab->count, slab->fetched, rows);
    }
    slab->fetched = NULL;
    drop_buffer(slab, FETCHED);
    drop_buffer(slab, SCRATCH);
    if (rc == RC_OK) {
        slab->rows = rows;
    }
    return rc;
}

enum rc h5_slab_decode(struct h5_slab *slab, uint8_t **ret_rows, struct err *err)
{
    if (slab->rows == NULL && slab->fetched != NULL) {
        if (is_verbatim(slab)) {
            slab->rows = TAKE(slab->fetched); /* in the same buffer */
        } else if (decode(slab, err) != RC_OK) {
            return err->rc;
        }
    }
    if (slab->rows == NULL) {
        return err_set(err, RC_BUG, "decoded before it was fetched");
    }
    *ret_rows = slab->rows;
    return RC_OK;
}
