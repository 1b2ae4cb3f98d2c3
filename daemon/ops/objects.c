/** @file
 * /v1/objects/KEY: what was published, from the processed store. A key is answered only where
 * `outputs` lists it, or where it is the manifest of an object that has outputs: so no path leads
 * anywhere else. What a browser might run is never called so.
 */
#include <inttypes.h>
#include <stdio.h>

#include "daemon/catalog/catalog.h"
#include "daemon/ops/ops_p.h"
#include "lib/base/mem.h"

#define MOST_BYTES (UINT64_C(64) << 20)
#define MANIFESTS "_manifests/"

struct fetch {
    struct ops_call *call;
    char *key;
    uint64_t bytes;
    char sha256[80];
    bool found, manifest;
    struct budget_ticket ticket;
    char *buffer;
};

static const char *type_of(const char *key)
{
    static const struct {
        const char *suffix, *type;
    } types[] = {{".png", "image/png"},
                 {".csv", "text/csv; charset=utf-8"},
                 {".json", "application/json"},
                 {".zip", "application/zip"}};

    for (unsigned i = 0; i < ARRAY_LEN(types); i++) {
        if (str_ends(key, types[i].suffix)) {
            return types[i].type;
        }
    }
    return "application/octet-stream";
}

static void fetch_free(struct fetch *fetch)
{
    budget_release(fetch->call->ops->services->budget, &fetch->ticket);
    free(fetch->key);
    free(fetch->buffer);
    free(fetch);
}

static void fetch_fail(struct fetch *fetch, const struct err *err)
{
    struct ops_call *call = fetch->call;

    fetch_free(fetch);
    ops_problem_err(call, err);
}

static void on_bytes(const struct err *err, void *arg)
{
    struct fetch *fetch = arg;
    struct ops_call *call = fetch->call;
    scoped(strbuf_done) struct strbuf body = {0};
    scoped(free) char *etag = NULL;

    if (err != NULL) {
        fetch_fail(fetch, err);
        return;
    }
    body.data = TAKE(fetch->buffer);
    body.len = (size_t)fetch->bytes;
    body.cap = body.len + 1;
    body.data[body.len] = '\0';
    if (fetch->sha256[0] != '\0') {
        etag = str_printf("\"%s\"", fetch->sha256);
        http_responder_header(call->responder, "ETag", etag);
    }
    /* The same key may be made anew from another version of its source. */
    http_responder_header(call->responder, "Cache-Control", "private, no-cache");
    http_responder_header(call->responder, "Content-Security-Policy",
                          "default-src 'none'; sandbox");
    const char *type = type_of(fetch->key);

    fetch_free(fetch);
    ops_answer(call, 200, type, &body);
}

/** The size is known. */
static void fetch_begin(struct fetch *fetch)
{
    struct ops_call *call = fetch->call;
    struct err err;

    if (fetch->bytes > MOST_BYTES) {
        scoped(free) char *uri = uri_format(call->ops->services->processed->uri, fetch->key);

        fetch_free(fetch);
        ops_problem(call, 503, "'%s' is larger than is served here; take it from the store", uri);
        return;
    }
    if (ops_budget(call->ops, &fetch->ticket, fetch->bytes, &err) != RC_OK) {
        fetch_fail(fetch, &err);
        return;
    }
    fetch->buffer = mem_try((size_t)fetch->bytes + 1, 1);
    if (fetch->buffer == NULL) {
        err_set(&err, RC_LIMIT, "no memory for %" PRIu64 " bytes", fetch->bytes);
        fetch_fail(fetch, &err);
        return;
    }
    store_get(fetch->call->ops->services->processed, fetch->key, NULL, NULL, 0,
              (size_t)fetch->bytes, fetch->buffer, on_bytes, fetch);
}

static void on_head(const struct store_object *object, const struct err *err, void *arg)
{
    struct fetch *fetch = arg;

    if (err != NULL) {
        fetch_fail(fetch, err);
        return;
    }
    fetch->bytes = object->size;
    fetch_begin(fetch);
}

/** Whether it is the manifest of something that has outputs. */
static enum rc look_up_manifest(struct db *db, struct fetch *fetch, struct err *err)
{
    scoped(free) char *source = NULL;
    struct db_stmt *q;

    if (!str_starts(fetch->key, MANIFESTS) || !str_ends(fetch->key, ".json")) {
        return RC_OK;
    }
    source = str_dup_n(fetch->key + strlen(MANIFESTS),
                       strlen(fetch->key) - strlen(MANIFESTS) - strlen(".json"));
    q = db_prepare(db,
                   "SELECT 1 FROM sources AS s WHERE s.key = ?1"
                   " AND EXISTS (SELECT 1 FROM output_rows AS o WHERE o._source = s.id) LIMIT 1",
                   err);
    if (q == NULL) {
        return err->rc;
    }
    db_bind_text(q, 1, source);
    if (db_step(q, err)) {
        fetch->manifest = true;
        db_reset(q);
    }
    return db_failed(q) ? err->rc : RC_OK;
}

static enum rc look_up(struct db *db, void *arg, struct err *err)
{
    struct fetch *fetch = arg;
    struct db_stmt *q = db_prepare(
        db, "SELECT bytes, sha256 FROM output_rows WHERE key = ?1 ORDER BY job DESC LIMIT 1", err);

    if (q == NULL) {
        return err->rc;
    }
    db_bind_text(q, 1, fetch->key);
    if (db_step(q, err)) {
        fetch->found = true;
        fetch->bytes = (uint64_t)db_int(q, 0);
        snprintf(fetch->sha256, sizeof(fetch->sha256), "%s", db_text(q, 1));
        db_reset(q);
        return RC_OK;
    }
    return db_failed(q) ? err->rc : look_up_manifest(db, fetch, err);
}

static bool is_known(const struct fetch *fetch)
{
    const char *known = http_request_header(fetch->call->request, "If-None-Match");
    const size_t len = strlen(fetch->sha256);

    return len > 0 && known != NULL && known[0] == '"' &&
           strncmp(known + 1, fetch->sha256, len) == 0 && strcmp(known + 1 + len, "\"") == 0;
}

static void on_looked_up(const struct err *err, void *arg)
{
    struct fetch *fetch = arg;
    struct ops_call *call = fetch->call;

    if (err != NULL) {
        fetch_fail(fetch, err);
    } else if (fetch->manifest) {
        store_head(call->ops->services->processed, fetch->key, on_head, fetch);
    } else if (!fetch->found) {
        fetch_free(fetch);
        ops_problem(call, 404, "nothing was published under '%.200s'", call->name);
    } else if (is_known(fetch)) {
        const char *type = type_of(fetch->key);

        fetch_free(fetch);
        http_responder_header(call->responder, "Cache-Control", "private, no-cache");
        ops_answer(call, 304, type, NULL);
    } else {
        fetch_begin(fetch);
    }
}

void ops_get_object(struct ops_call *call)
{
    struct fetch *fetch;
    struct err err;

    if (uri_check_key(call->name, &err) != RC_OK) {
        ops_problem(call, 404, "%s", err.text);
        return;
    }
    fetch = mem_new(struct fetch);
    *fetch = (struct fetch){.call = call, .key = str_dup(call->name)};
    catalog_read(call->ops->services->catalog, look_up, on_looked_up, fetch);
}
