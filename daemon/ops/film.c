/** @file
 * /v1/storms/{id}/film: the pictures of an event's frames where none were published, made now from
 * the ranges of the raw object that hold them: the very pictures that extraction would write, in
 * one ZIP of the form that `extract.images` "packed" has.
 *
 * Work of this kind stands behind extraction: what the memory budget has no room for at once, or a
 * third film, is refused, and whoever looks asks again.
 */
#include <inttypes.h>

#include "daemon/catalog/catalog_tables.h"
#include "daemon/ops/ops_p.h"
#include "daemon/ops/storm.h"
#include "lib/base/mem.h"
#include "lib/data/planes.h"
#include "lib/data/zipfile.h"
#include "lib/h5/h5_slab.h"
#include "lib/sevir/colors.h"

#define FILMS_AT_ONCE 2
#define FRAMES_MAX 256
#define ENCODER_BYTES (UINT64_C(1) << 20)

struct film {
    struct ops_call *call;
    enum sevir_type type;
    bool any_index;
    uint64_t file_index;
    /* the read lane's until it is done */
    char *key, *etag;
    uint64_t file_size;
    struct layout *layout;
    bool found;

    const struct layout_dataset *dataset;
    enum sample sample;
    struct h5_slab *slab;
    struct budget_ticket ticket;
    struct strbuf zip; /**< The worker's until it is done. */
    struct err err;
};

static void film_free(struct film *film)
{
    film->call->ops->films--;
    h5_slab_free(film->slab);
    layout_free(film->layout);
    budget_release(film->call->ops->services->budget, &film->ticket);
    strbuf_done(&film->zip);
    free(film->key);
    free(film->etag);
    free(film);
}

static void film_fail(struct film *film, const struct err *err)
{
    struct ops_call *call = film->call;
    const struct err why = *err; /* it may be the film's own */

    film_free(film);
    if (why.rc == RC_LIMIT) {
        http_responder_header(call->responder, "Retry-After", "2");
    }
    ops_problem_err(call, &why);
}

/* ---- on a worker ---- */

static enum rc draw_frame(const struct film *film, struct pngfile_encoder *encoder,
                          const uint8_t *plane, uint8_t *indices, struct strbuf *png,
                          struct err *err)
{
    const struct colors *colors = colors_of(film->type);
    const size_t pixels = (size_t)(film->dataset->dims[1] * film->dataset->dims[2]);

    colors_map(film->type, plane, pixels, film->sample, indices);
    const struct pngfile_picture picture = {
        .pixels = indices,
        .width = (uint32_t)film->dataset->dims[2],
        .height = (uint32_t)film->dataset->dims[1],
        .flip = true,
        .palette = colors->palette,
        .colors = colors->count,
    };

    strbuf_reset(png);
    return pngfile_encode(encoder, &picture, png, err);
}

static enum rc draw_frames(struct film *film, const uint8_t *planes, struct err *err)
{
    const size_t pixels = (size_t)(film->dataset->dims[1] * film->dataset->dims[2]);
    const unsigned frames = (unsigned)film->dataset->dims[3];
    const size_t element = sample_bytes(film->sample);
    scoped(free) uint8_t *indices = mem_try(pixels, 1);
    scoped(pngfile_encoder_free) struct pngfile_encoder *encoder = pngfile_encoder_new();
    scoped(strbuf_done) struct strbuf png = {0};
    struct zipfile_writer writer;

    if (indices == NULL) {
        return err_set(err, RC_LIMIT, "no memory for %zu pixels", pixels);
    }
    zipfile_begin(&writer, &film->zip);
    for (unsigned frame = 0; frame < frames; frame++) {
        char name[16];

        if (draw_frame(film, encoder, planes + (size_t)frame * pixels * element, indices, &png,
                       err) != RC_OK) {
            zipfile_writer_done(&writer);
            return err->rc;
        }
        naming_frame_file(frame, name);
        zipfile_add(&writer, name, png.data, png.len);
    }
    zipfile_end(&writer);
    zipfile_writer_done(&writer);
    return RC_OK;
}

static void run_draw(void *arg)
{
    struct film *film = arg;
    uint8_t *planes = NULL;

    if (h5_slab_decode(film->slab, &planes, &film->err) == RC_OK) {
        draw_frames(film, planes, &film->err);
    }
}

/* ---- on the loop ---- */

static void on_drawn(void *arg, bool canceled)
{
    struct film *film = arg;
    struct ops_call *call = film->call;
    scoped(strbuf_done) struct strbuf body = {0};

    (void)canceled; /* nobody withdraws it */
    if (film->err.rc != RC_OK) {
        film_fail(film, &film->err);
        return;
    }
    body = film->zip;
    film->zip = (struct strbuf){0};
    film_free(film);
    http_responder_header(call->responder, "Cache-Control", "private, max-age=60");
    ops_answer(call, 200, "application/zip", &body);
}

static void on_fetched(const struct err *err, void *arg)
{
    struct film *film = arg;

    if (err != NULL) {
        film_fail(film, err);
        return;
    }
    work_submit(film->call->ops->services->work, WORK_CPU, run_draw, on_drawn, film);
}

static enum rc check_dataset(struct film *film, struct err *err)
{
    const char *name = sevir_type_name(film->type);

    film->dataset = layout_find(film->layout, name);
    if (film->dataset == NULL || film->dataset->rank != 4) {
        return err_set(err, RC_UNSUPPORTED, "'%s' has no dataset '%s' of four dimensions",
                       film->key, name);
    }
    if (sample_of(&film->dataset->dtype, &film->sample, err) != RC_OK) {
        return err->rc;
    }
    if (film->file_index >= film->dataset->dims[0] || film->dataset->dims[3] > FRAMES_MAX ||
        film->dataset->dims[1] > UINT16_MAX || film->dataset->dims[2] > UINT16_MAX ||
        layout_row_bytes(film->dataset) == 0) {
        return err_set(err, RC_INVALID, "'%s' has no event of index %" PRIu64, film->key,
                       film->file_index);
    }
    return RC_OK;
}

static enum rc film_begin(struct film *film, struct err *err)
{
    const struct services *services = film->call->ops->services;
    const struct h5_object object = {.store = services->raw,
                                     .key = film->key,
                                     .version = "",
                                     .etag = film->etag,
                                     .size = film->file_size};

    if (check_dataset(film, err) != RC_OK ||
        h5_slab_open(services->h5, &object, film->layout, film->dataset, film->file_index, 1,
                     &film->slab, err) != RC_OK) {
        return err->rc;
    }
    h5_slab_by_frames(film->slab);

    const uint64_t row = layout_row_bytes(film->dataset); /* as much as the archive, at most */
    const uint64_t bytes = h5_slab_bytes(film->slab) + row + ENCODER_BYTES;

    if (ops_budget(film->call->ops, &film->ticket, bytes, err) != RC_OK) {
        return err->rc;
    }
    h5_slab_fetch(film->slab, on_fetched, film);
    return RC_OK;
}

static void on_looked_up(const struct err *err, void *arg)
{
    struct film *film = arg;
    struct ops_call *call = film->call;
    struct err why;

    if (err != NULL) {
        film_fail(film, err);
    } else if (!film->found) {
        const char *type = sevir_type_name(film->type);

        film_free(film);
        ops_problem(call, 404, "no object with %s of event '%.80s' is known", type, call->name);
    } else if (film_begin(film, &why) != RC_OK) {
        film_fail(film, &why);
    }
}

/* ---- on the read lane ---- */

static enum rc read_layout(struct db *db, struct film *film, int64_t source, struct err *err)
{
    struct db_stmt *q =
        db_prepare(db, "SELECT etag, file_size FROM layouts WHERE source = ?1", err);

    if (q == NULL) {
        return err->rc;
    }
    db_bind_int(q, 1, source);
    if (!db_step(q, err)) {
        return db_failed(q) ? err->rc : RC_OK;
    }
    film->etag = str_dup(db_text(q, 0));
    film->file_size = (uint64_t)db_int(q, 1);
    db_reset(q);
    if (catalog_layout_get(db, source, film->etag, &film->layout, err) != RC_OK) {
        return err->rc;
    }
    film->found = true;
    return RC_OK;
}

static enum rc look_up(struct db *db, void *arg, struct err *err)
{
    struct film *film = arg;
    const char *id = film->call->name;
    scoped(free) char *file_name = NULL;
    int64_t source;
    struct db_stmt *q =
        db_prepare(db,
                   "SELECT file_name, file_index FROM event_rows WHERE id = ?1 AND img_type = ?2"
                   " AND (?3 OR file_index = ?4) AND shown = 1"
                   " AND load IN (SELECT id FROM event_loads WHERE settled = 1) ORDER BY load, "
                   "ordinal LIMIT 1",
                   err);

    if (q == NULL) {
        return err->rc;
    }
    db_bind_text(q, 1, id);
    db_bind_text(q, 2, sevir_type_name(film->type));
    db_bind_int(q, 3, film->any_index);
    db_bind_int(q, 4, (int64_t)film->file_index);
    if (!db_step(q, err)) {
        return db_failed(q) ? err->rc : RC_OK;
    }
    file_name = str_dup(db_text(q, 0));
    film->file_index = (uint64_t)db_int(q, 1);
    db_reset(q);
    if (storm_source(db, id, film->type, file_name, &source, &film->key, err) != RC_OK) {
        return err->rc;
    }
    return source != 0 ? read_layout(db, film, source, err) : RC_OK;
}

void ops_get_film(struct ops_call *call)
{
    const char *type = http_request_arg(call->request, "type");
    const bool any = http_request_arg(call->request, "file_index") == NULL;
    enum sevir_type known;
    uint64_t index;

    if (type == NULL || !sevir_type_parse(type, &known) || known == SEVIR_LGHT) {
        ops_problem(call, 400, "'type' must be one of vis, ir069, ir107, vil");
        return;
    }
    if (!ops_arg_number(call, "file_index", 0, INT32_MAX, 0, &index)) {
        return;
    }
    if (call->ops->films >= FILMS_AT_ONCE) {
        http_responder_header(call->responder, "Retry-After", "2");
        ops_problem(call, 503, "%u films are being made; try again", call->ops->films);
        return;
    }
    struct film *film = mem_new(struct film);

    *film = (struct film){.call = call, .type = known, .any_index = any, .file_index = index};
    call->ops->films++;
    catalog_read(call->ops->services->catalog, look_up, on_looked_up, film);
}
