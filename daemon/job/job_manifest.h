/** @file
 * A manifest: what was made from which version of what, with sizes and digests.
 *
 * Extraction writes it as a draft, publishing puts it last; a reader who trusts manifests never
 * sees half a job. Nothing in it depends on when or by which process it was made, so that a second
 * run over the same input writes the same bytes.
 *
 *     {"manifest": 1, "state": "published",
 *      "source": {"bucket", "key", "version", "etag", "size", "modified"},
 *      "made_by": {"sevird", "images", "selection", "rows_digest"},
 *      "kind": "hdf5", "table": "vil", "events": 2, "notes": [...],
 *      "outputs": [{"key", "bytes", "sha256", "kind", "rows", "quoted"}, ...]}
 *
 * "quoted" is of a CSV: whether any field of it is.
 *
 * A retired object's manifest has "state": "retired", no outputs, and "removed": their number.
 *
 * Thread:     any; the writer and a parsed manifest belong to one thread at a time.
 */
#pragma once

#include "daemon/job/job.h"
#include "lib/base/arena.h"
#include "lib/base/digest.h"
#include "lib/base/str.h"
#include "lib/data/csv.h"
#include "lib/store/store.h"

#define JOB_MANIFEST_VERSION 1

#define JOB_OUTPUT_MAP(X) \
    X(FRAMES, "frames")   \
    X(FLASHES, "flashes") \
    X(IMAGE, "image")     \
    X(SHEET, "sheet")     \
    X(PACKED, "packed")   \
    X(TABLE, "table") X(CATALOG, "catalog")
enum job_output_kind {
#define X(name, text) OUTPUT_##name,
    JOB_OUTPUT_MAP(X)
#undef X
        OUTPUT_COUNT
};
const char *job_output_kind_name(enum job_output_kind kind);
bool job_output_kind_parse(const char *text, enum job_output_kind *ret_kind);

struct job_output {
    const char *key;
    uint64_t bytes, rows; /**< `rows`: of a CSV, without its header; 0 for pictures. */
    enum job_output_kind kind;
    uint8_t sha256[DIGEST_BYTES];
    enum csv_quotes quotes; /**< Of a CSV. */
};

/** What a manifest says beside its outputs. */
struct job_manifest_head {
    const struct job_object *object;
    const char *kind, *table;
    const char *images;    /**< "none", "sheet", "frames", "packed": as configured. */
    const char *selection; /**< Canonical JSON. */
    const char *rows_digest;
    uint64_t events;
    const char *const *notes; /**< What a reader should know: events the file lacks, odd shapes. */
    unsigned note_count;
};

/** Begin, one call an output in the order they should be listed, end. Appends to `out`. */
void job_manifest_begin(struct strbuf *out, const struct job_manifest_head *head);
void job_manifest_add(struct strbuf *out, const struct job_output *output, bool first);
void job_manifest_end(struct strbuf *out);
/** The manifest of an object that is gone, from whose manifest `removed` outputs were removed. */
void job_manifest_retired(struct strbuf *out, const struct job_object *object, uint64_t removed);

struct job_manifest {
    const char *source_bucket, *source_key, *source_etag;
    const char *kind, *table, *images, *rows_digest; /**< "" where the document has none. */
    bool retired;
    struct job_output *outputs;
    size_t output_count;
    struct arena *arena; /**< Owns the strings. */
    /* Of one that was fetched: the document itself, and the etag it has in the store. */
    char *bytes;
    size_t len;
    char etag[STORE_ETAG];
};

/** RC_CORRUPT, naming the field; keys are checked as uri_check_key() does, for they will be
 * removed. */
enum rc job_manifest_parse(const void *bytes, size_t len, struct job_manifest **ret_manifest,
                           struct err *err);
void job_manifest_free(struct job_manifest *manifest);
SCOPED_FN(struct job_manifest, job_manifest_free)

/** Whether both vouch for the same work: the same version of the same object, the same rows of the
 * catalog and selection, the same pictures. */
bool job_manifest_is_same(const struct job_manifest *a, const struct job_manifest *b);

/** The manifest of the object `source_key` in the processed store. `manifest` is NULL when there is
 * none, and is the receiver's to free. An unreadable one is RC_CORRUPT.
 * Thread: the loop's. Completion: `done` later, exactly once. */
typedef void job_manifest_fn(struct job_manifest *manifest, const struct err *err, void *arg);
void job_manifest_fetch(struct store *processed, const char *source_key, job_manifest_fn *done,
                        void *arg);
