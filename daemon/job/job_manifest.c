/** @file
 * Manifests. They are written by appending, for one may list a hundred thousand pictures, and read
 * by jansson.
 */
#include "daemon/job/job_manifest.h"

#include <inttypes.h>
#include <jansson.h>

#include "lib/base/mem.h"
#include "lib/base/now.h"
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
    strbuf_printf(out,
                  ", \"bytes\": %" PRIu64
                  ", \"sha256\": \"%s\", \"kind\": \"%s\", \"rows\": %" PRIu64 "}",
                  output->bytes, hex, kind_names[output->kind], output->rows);
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

static bool parse_sha256(const char *hex, uint8_t ret_sha256[DIGEST_BYTES])
{
    if (strlen(hex) != DIGEST_HEX - 1) {
        return false;
    }
    for (unsigned i = 0; i < DIGEST_BYTES; i++) {
        unsigned value = 0;

        for (unsigned d = 0; d < 2; d++) {
            const char c = hex[2 * i + d];

            if (c >= '0' && c <= '9') {
                value = value * 16 + (unsigned)(c - '0');
            } else if (c >= 'a' && c <= 'f') {
                value = value * 16 + (unsigned)(c - 'a') + 10;
            } else {
                return false;
            }
        }
        ret_sha256[i] = (uint8_t)value;
    }
    return true;
}

static enum rc parse_output(json_t *item, size_t index, struct job_output *ret_output,
                            struct err *err)
{
    const char *key = json_string_value(json_object_get(item, "key"));
    const char *hex = json_string_value(json_object_get(item, "sha256"));
    const char *kind = json_string_value(json_object_get(item, "kind"));
    struct job_output output = {
        .key = key,
        .bytes = (uint64_t)json_integer_value(json_object_get(item, "bytes")),
        .rows = (uint64_t)json_integer_value(json_object_get(item, "rows")),
    };

    if (key == NULL || hex == NULL || kind == NULL) {
        return err_set(err, RC_CORRUPT, "manifest: output %zu lacks key, sha256 or kind", index);
    }
    if (uri_check_key(key, err) != RC_OK) {
        err_wrap(err, "manifest: output %zu", index);
        return err->rc = RC_CORRUPT;
    }
    if (!parse_sha256(hex, output.sha256) || !job_output_kind_parse(kind, &output.kind)) {
        return err_set(err, RC_CORRUPT, "manifest: output '%s': bad sha256 or kind", key);
    }
    *ret_output = output;
    return RC_OK;
}

static const char *member_text(json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text != NULL ? text : "";
}

enum rc job_manifest_parse(const void *bytes, size_t len, struct job_manifest **ret_manifest,
                           struct err *err)
{
    json_error_t problem;
    json_t *root = json_loadb(bytes, len, 0, &problem);

    if (root == NULL) {
        return err_set(err, RC_CORRUPT, "manifest: line %d: %s", problem.line, problem.text);
    }
    scoped(job_manifest_free) struct job_manifest *manifest = mem_new(struct job_manifest);
    json_t *outputs = json_object_get(root, "outputs");
    json_t *source = json_object_get(root, "source");

    manifest->root = root;
    if (json_integer_value(json_object_get(root, "manifest")) != JOB_MANIFEST_VERSION) {
        return err_set(err, RC_CORRUPT, "manifest: not of version %d", JOB_MANIFEST_VERSION);
    }
    if (!json_is_array(outputs) || !json_is_object(source)) {
        return err_set(err, RC_CORRUPT, "manifest: lacks 'outputs' or 'source'");
    }
    manifest->retired = strcmp(member_text(root, "state"), "retired") == 0;
    manifest->source_bucket = member_text(source, "bucket");
    manifest->source_key = member_text(source, "key");
    manifest->source_etag = member_text(source, "etag");
    manifest->kind = member_text(root, "kind");
    manifest->table = member_text(root, "table");
    manifest->images = member_text(json_object_get(root, "made_by"), "images");
    manifest->rows_digest = member_text(json_object_get(root, "made_by"), "rows_digest");

    const size_t count = json_array_size(outputs);
    manifest->outputs = mem_resize(NULL, count, sizeof(*manifest->outputs));
    for (size_t i = 0; i < count; i++) {
        if (parse_output(json_array_get(outputs, i), i, &manifest->outputs[i], err) != RC_OK) {
            return err->rc;
        }
    }
    manifest->output_count = count;
    *ret_manifest = TAKE(manifest);
    return RC_OK;
}

void job_manifest_free(struct job_manifest *manifest)
{
    if (manifest == NULL) {
        return;
    }
    json_decref(manifest->root);
    free(manifest->outputs);
    free(manifest);
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
    store_get(fetch->store, fetch->key, fetch->etag, 0, fetch->len, fetch->bytes, on_fetched,
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
