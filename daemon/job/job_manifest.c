/** @file
 * Manifests. One may list a hundred thousand pictures, of which a tree of JSON would take 65 MiB.
 * So they are written by appending, and jansson reads the outputs one at a time, and the document
 * without them.
 */
#include "daemon/job/job_manifest.h"

#include <inttypes.h>
#include <stdio.h>

#include "lib/base/mem.h"
#include "lib/base/now.h"
#include "lib/data/json_read.h"
#include "lib/sevir/naming.h"
#include "lib/store/uri.h"

#define MANIFEST_MAX ((uint64_t)256 << 20)

static const char *const kind_names[OUTPUT_COUNT] = {
#define X(name, text) [OUTPUT_##name] = text,
    JOB_OUTPUT_MAP(X)
#undef X
};

const char *job_output_kind_name(enum job_output_kind kind)
{
    return kind_names[kind];
}

bool job_output_kind_parse(const char *text, enum job_output_kind *ret_kind)
{
    for (unsigned kind = 0; kind < OUTPUT_COUNT; kind++) {
        if (strcmp(text, kind_names[kind]) == 0) {
            *ret_kind = kind;
            return true;
        }
    }
    return false;
}

static void write_member(struct strbuf *out, const char *name, const char *value)
{
    strbuf_json(out, name);
    strbuf_puts(out, ": ");
    strbuf_json(out, value);
}

static void write_source(struct strbuf *out, const struct job_object *object)
{
    char modified[NOW_TEXT];

    now_format_iso_ms(object->modified_ms, modified);
    strbuf_puts(out, " \"source\": {");
    write_member(out, "bucket", object->bucket);
    strbuf_puts(out, ", ");
    write_member(out, "key", object->key);
    strbuf_puts(out, ", ");
    write_member(out, "version", object->version);
    strbuf_puts(out, ", ");
    write_member(out, "etag", object->etag);
    strbuf_printf(out, ", \"size\": %" PRIu64 ", \"modified\": \"%s\"},\n", object->size, modified);
}

void job_manifest_begin(struct strbuf *out, const struct job_manifest_head *head)
{
    strbuf_printf(out, "{\"manifest\": %d, \"state\": \"published\",\n", JOB_MANIFEST_VERSION);
    write_source(out, head->object);
    strbuf_puts(out, " \"made_by\": {");
    write_member(out, "sevird", SEVIRD_VERSION);
    strbuf_puts(out, ", ");
    write_member(out, "images", head->images);
    strbuf_puts(out, ", \"selection\": ");
    strbuf_puts(out, head->selection);
    strbuf_puts(out, ", ");
    write_member(out, "rows_digest", head->rows_digest);
    strbuf_puts(out, "},\n ");
    write_member(out, "kind", head->kind);
    strbuf_puts(out, ", ");
    write_member(out, "table", head->table);
    strbuf_printf(out, ", \"events\": %" PRIu64 ",\n \"notes\": [", head->events);
    for (unsigned i = 0; i < head->note_count; i++) {
        strbuf_puts(out, i > 0 ? ", " : "");
        strbuf_json(out, head->notes[i]);
    }
    strbuf_puts(out, "],\n \"outputs\": [");
}

void job_manifest_add(struct strbuf *out, const struct job_output *output, bool first)
{
    char hex[DIGEST_HEX];

    digest_hex(output->sha256, hex);
    strbuf_puts(out, first ? "\n  {" : ",\n  {");
    write_member(out, "key", output->key);
    strbuf_printf(
        out, ", \"bytes\": %" PRIu64 ", \"sha256\": \"%s\", \"kind\": \"%s\", \"rows\": %" PRIu64,
        output->bytes, hex, kind_names[output->kind], output->rows);
    if (output->quotes != CSV_QUOTES_UNKNOWN) {
        strbuf_puts(out, output->quotes == CSV_QUOTES_SOME ? ", \"quoted\": true"
                                                           : ", \"quoted\": false");
    }
    strbuf_putc(out, '}');
}

void job_manifest_end(struct strbuf *out)
{
    strbuf_puts(out, "\n ]}\n");
}

void job_manifest_retired(struct strbuf *out, const struct job_object *object, uint64_t removed)
{
    strbuf_printf(out, "{\"manifest\": %d, \"state\": \"retired\",\n", JOB_MANIFEST_VERSION);
    write_source(out, object);
    strbuf_printf(out, " \"removed\": %" PRIu64 ", \"outputs\": []}\n", removed);
}

/* ---- reading ------------------------------------------------------------------------------- */

static enum rc parse_output(const json_t *item, size_t index, struct arena *arena,
                            struct job_output *ret_output, struct err *err)
{
    const char *key = json_read_text(item, "key");
    const char *kind = json_read_text(item, "kind");
    struct job_output output = {0};
    int quoted;

    if (key == NULL || kind == NULL || json_read_text(item, "sha256") == NULL) {
        return err_set(err, RC_CORRUPT, "manifest: output %zu lacks key, sha256 or kind", index);
    }
    if (uri_check_key(key, err) != RC_OK) {
        err_wrap(err, "manifest: output %zu", index);
        return err->rc = RC_CORRUPT;
    }
    if (!json_read_sha256(item, "sha256", output.sha256) ||
        !job_output_kind_parse(kind, &output.kind)) {
        return err_set(err, RC_CORRUPT, "manifest: output '%s': bad sha256 or kind", key);
    }
    if (!json_read_count(item, "bytes", &output.bytes) ||
        !json_read_count(item, "rows", &output.rows) || !json_read_flag(item, "quoted", &quoted)) {
        return err_set(err, RC_CORRUPT, "manifest: output '%s': bad bytes, rows or quoted", key);
    }
    output.quotes = csv_quotes_from_flag(quoted); /* older manifests say nothing of it */
    output.key = arena_dup(arena, key);
    *ret_output = output;
    return RC_OK;
}

struct span {
    const char *at, *end;
};

static void skip_space(struct span *span)
{
    while (span->at < span->end && strchr(" \t\r\n", *span->at) != NULL && *span->at != '\0') {
        span->at++;
    }
}

/** From behind a string's first quote to behind its last. */
static void skip_string(struct span *span)
{
    while (span->at < span->end && *span->at != '"') {
        span->at += *span->at == '\\' && span->at + 1 < span->end ? 2 : 1;
    }
    span->at = span->at < span->end ? span->at + 1 : span->end;
}

/** Over one value, whatever is in it: whether it is well-formed is jansson's to say. */
static void skip_nested(struct span *span)
{
    size_t depth = 0;

    while (span->at < span->end) {
        const char c = *span->at++;

        if (c == '"') {
            skip_string(span);
        } else if (c == '[' || c == '{') {
            depth++;
        } else if ((c == ']' || c == '}') && --depth == 0) {
            return;
        }
    }
}

/** The value of the document's member "outputs", from '[' to behind its ']'; false: not found. */
static bool find_outputs(const char *bytes, size_t len, struct span *ret_outputs)
{
    static const char name[] = "\"outputs\"";
    struct span span = {.at = bytes, .end = bytes + len};

    skip_space(&span);
    span.at += span.at < span.end; /* its '{' */
    while (span.at < span.end) {
        const char *begin = span.at;

        if (*begin == '[' || *begin == '{') {
            skip_nested(&span);
            continue;
        }
        span.at++;
        if (*begin != '"') {
            continue;
        }
        skip_string(&span);
        if ((size_t)(span.at - begin) != sizeof(name) - 1 ||
            memcmp(begin, name, sizeof(name) - 1) != 0) {
            continue;
        }
        skip_space(&span);
        if (span.at == span.end || *span.at != ':') {
            continue; /* a value */
        }
        span.at++;
        skip_space(&span);
        if (span.at < span.end && *span.at == '[') {
            *ret_outputs = span;
            skip_nested(&span);
            ret_outputs->end = span.at;
            return span.at[-1] == ']';
        }
    }
    return false;
}

static enum rc add_output(struct job_manifest *manifest, const json_t *item, size_t *cap,
                          struct err *err)
{
    const size_t index = manifest->output_count;

    if (index == *cap) {
        *cap = MAX_OF(2 * *cap, (size_t)16);
        manifest->outputs = mem_resize(manifest->outputs, *cap, sizeof(*manifest->outputs));
    }
    if (parse_output(item, index, manifest->arena, &manifest->outputs[index], err) != RC_OK) {
        return err->rc;
    }
    manifest->output_count++;
    return RC_OK;
}

/** `span` is the array. */
static enum rc parse_outputs(struct job_manifest *manifest, struct span span, struct err *err)
{
    size_t cap = 0;
    bool more;

    span.at++;
    span.end--;
    skip_space(&span);
    more = span.at < span.end;
    while (more) {
        json_error_t problem;
        json_t *item = json_loadb(span.at, (size_t)(span.end - span.at),
                                  JSON_DISABLE_EOF_CHECK | JSON_REJECT_DUPLICATES, &problem);

        if (item == NULL) {
            return err_set(err, RC_CORRUPT, "manifest: output %zu: %s", manifest->output_count,
                           problem.text);
        }
        const enum rc rc = add_output(manifest, item, &cap, err);

        json_decref(item);
        if (rc != RC_OK) {
            return rc;
        }
        span.at += problem.position;
        skip_space(&span);
        more = span.at < span.end;
        if (more && *span.at++ != ',') {
            return err_set(err, RC_CORRUPT, "manifest: no comma after output %zu",
                           manifest->output_count - 1);
        }
    }
    return RC_OK;
}

static const char *member_text(struct arena *arena, const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return arena_dup(arena, text != NULL ? text : "");
}

/** Everything but the outputs, of which `root` must have none. */
static enum rc parse_head(struct job_manifest *manifest, const json_t *root, struct err *err)
{
    const json_t *outputs = json_object_get(root, "outputs");
    const json_t *source = json_object_get(root, "source");
    const json_t *made_by = json_object_get(root, "made_by");
    struct arena *arena = manifest->arena;

    if (json_integer_value(json_object_get(root, "manifest")) != JOB_MANIFEST_VERSION) {
        return err_set(err, RC_CORRUPT, "manifest: not of version %d", JOB_MANIFEST_VERSION);
    }
    if (!json_is_array(outputs) || json_array_size(outputs) > 0 || !json_is_object(source)) {
        return err_set(err, RC_CORRUPT, "manifest: lacks 'outputs' or 'source'");
    }
    manifest->retired = strcmp(member_text(arena, root, "state"), "retired") == 0;
    manifest->source_bucket = member_text(arena, source, "bucket");
    manifest->source_key = member_text(arena, source, "key");
    manifest->source_etag = member_text(arena, source, "etag");
    manifest->kind = member_text(arena, root, "kind");
    manifest->table = member_text(arena, root, "table");
    manifest->images = member_text(arena, made_by, "images");
    manifest->rows_digest = member_text(arena, made_by, "rows_digest");
    return RC_OK;
}

enum rc job_manifest_parse(const void *bytes, size_t len, struct job_manifest **ret_manifest,
                           struct err *err)
{
    scoped(job_manifest_free) struct job_manifest *manifest = mem_new(struct job_manifest);
    scoped(strbuf_done) struct strbuf rest = {0}; /* the document without its outputs */
    struct span outputs;
    json_error_t problem;
    enum rc rc;

    manifest->arena = arena_new();
    const bool found = find_outputs(bytes, len, &outputs);

    if (found) {
        strbuf_add(&rest, bytes, (size_t)(outputs.at - (const char *)bytes));
        strbuf_puts(&rest, "[]");
        strbuf_add(&rest, outputs.end, (size_t)((const char *)bytes + len - outputs.end));
    } else {
        strbuf_add(&rest, bytes, len);
    }
    json_t *root = json_loadb(strbuf_text(&rest), rest.len, JSON_REJECT_DUPLICATES, &problem);

    if (root == NULL) {
        return err_set(err, RC_CORRUPT, "manifest: line %d: %s", problem.line, problem.text);
    }
    rc = parse_head(manifest, root, err);
    json_decref(root);
    if (rc != RC_OK || (found && (rc = parse_outputs(manifest, outputs, err)) != RC_OK)) {
        return rc;
    }
    *ret_manifest = TAKE(manifest);
    return RC_OK;
}

void job_manifest_free(struct job_manifest *manifest)
{
    if (manifest == NULL) {
        return;
    }
    arena_free(manifest->arena);
    free(manifest->outputs);
    free(manifest->bytes);
    free(manifest);
}

bool job_manifest_is_same(const struct job_manifest *a, const struct job_manifest *b)
{
    return a->retired == b->retired && strcmp(a->source_bucket, b->source_bucket) == 0 &&
           strcmp(a->source_key, b->source_key) == 0 &&
           strcmp(a->source_etag, b->source_etag) == 0 &&
           strcmp(a->rows_digest, b->rows_digest) == 0 && strcmp(a->images, b->images) == 0;
}

/* ---- fetching ---- */

struct fetch {
    struct store *store;
    char *key, *etag, *bytes;
    size_t len;
    job_manifest_fn *done;
    void *arg;
};

static void fetch_end(struct fetch *fetch, struct job_manifest *manifest, const struct err *err)
{
    fetch->done(manifest, err, fetch->arg);
    free(fetch->key);
    free(fetch->etag);
    free(fetch->bytes);
    free(fetch);
}

static void on_fetched(const struct err *err, void *arg)
{
    struct fetch *fetch = arg;
    struct job_manifest *manifest = NULL;
    struct err why;

    if (err == NULL && job_manifest_parse(fetch->bytes, fetch->len, &manifest, &why) != RC_OK) {
        err_wrap(&why, "'%s'", fetch->key);
        err = &why;
    }
    if (manifest != NULL) {
        manifest->bytes = TAKE(fetch->bytes);
        manifest->len = fetch->len;
        snprintf(manifest->etag, sizeof(manifest->etag), "%s", fetch->etag);
    }
    fetch_end(fetch, manifest, err);
}

static void on_head(const struct store_object *object, const struct err *err, void *arg)
{
    struct fetch *fetch = arg;
    struct err why;

    if (err != NULL) {
        fetch_end(fetch, NULL, err->rc == RC_NOT_FOUND ? NULL : err);
        return;
    }
    fetch->len = (size_t)object->size;
    fetch->bytes = object->size <= MANIFEST_MAX ? mem_try(fetch->len + 1, 1) : NULL;
    if (fetch->bytes == NULL) {
        err_set(&why, RC_LIMIT, "manifest '%s' is too large to read", fetch->key);
        fetch_end(fetch, NULL, &why);
        return;
    }
    fetch->etag = str_dup(object->etag); /* `object` is gone before the bytes have come */
    store_get(fetch->store, fetch->key, NULL, fetch->etag, 0, fetch->len, fetch->bytes, on_fetched,
              fetch);
}

void job_manifest_fetch(struct store *processed, const char *source_key, job_manifest_fn *done,
                        void *arg)
{
    struct fetch *fetch = mem_new(struct fetch);

    *fetch = (struct fetch){
        .store = processed, .key = naming_manifest_key(source_key), .done = done, .arg = arg};
    store_head(processed, fetch->key, on_head, fetch);
}
