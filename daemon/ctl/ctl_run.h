/** @file
 * A loop of sevirctl's own, for commands that read objects without a daemon: each call below starts
 * one thing and runs the loop until it has ended. What takes long draws a bar meanwhile, unless the
 * command has one of its own.
 *
 * Thread:     one.
 * Completion: none; the calls wait.
 * Ownership:  what a call returns through `ret_x` is the caller's; stores are freed before the run.
 */
#pragma once

#include "daemon/ctl/ctl.h"
#include "lib/aws/aws.h"
#include "lib/h5/h5_slab.h"
#include "lib/sevir/catalog_row.h"
#include "lib/store/store.h"

struct ctl_run;

/** `ctl` says whether waiting may be shown, `args` how S3 is reached; both outlive the run. */
struct ctl_run *ctl_run_new(const struct ctl *ctl, const struct ctl_args *args);
const struct ctl *ctl_run_ctl(const struct ctl_run *run);
void ctl_run_free(struct ctl_run *run);
SCOPED_FN(struct ctl_run, ctl_run_free)
struct loop *ctl_run_loop(struct ctl_run *run);
struct work *ctl_run_work(struct ctl_run *run);
/** Made when first asked for. */
struct h5_helper *ctl_run_helper(struct ctl_run *run);

/** The access to S3 that the command line asks for, made when first asked for. */
enum rc ctl_run_aws(struct ctl_run *run, struct aws **ret_aws, struct err *err);
/** What is read from the bucket of this URI is read by the access that the --source-* options ask
 * for, if any was given. */
enum rc ctl_run_source(struct ctl_run *run, const char *uri, struct err *err);
/** The access to read from that bucket. */
enum rc ctl_run_aws_of(struct ctl_run *run, const char *bucket, struct aws **ret_aws,
                       struct err *err);
/** The server that is asked for that bucket (NULL: one to write to), as far as the command line and
 * the environment name it; else "". */
const char *ctl_run_endpoint(const struct ctl_run *run, const char *bucket);
/** A URI or path, relative to the working directory. */
enum rc ctl_run_uri(const char *text, struct uri **ret_uri, struct err *err);
bool ctl_run_is_s3(const char *uri);

/** An object as a head told it; owns its strings and, if it was opened by name, its store. Reads
 * are held to its etag: who may read an object need not be allowed to name a version of it. */
struct ctl_object {
    struct store *store;
    char *key, *etag;
    uint64_t size;
    bool owns_store;
};
void ctl_object_done(struct ctl_object *object);
static inline void ctl_object_done_ptr(struct ctl_object *object)
{
    ctl_object_done(object);
}
struct h5_object ctl_object_h5(const struct ctl_object *object);

/** Whether the URI names a local folder. */
bool ctl_run_is_folder(const char *uri);
/** Whether two URIs name one local file that exists: writing to one would destroy the other. */
bool ctl_run_is_same(const char *uri, const char *other);
/** The store at a URI of a folder, or of a bucket or what lies under a prefix of it. */
enum rc ctl_run_open_store(struct ctl_run *run, const char *uri, struct store **ret_store,
                           struct err *err);
/** Whether there is such a bucket and the credentials are known: asked once, so that it is told
 * once. One that may not be listed may still be read. Of a file store nothing is asked. */
enum rc ctl_run_check(struct ctl_run *run, struct store *store, struct err *err);
/** The object at a URI: the folder or bucket is opened as a store, a link is followed. */
enum rc ctl_run_open(struct ctl_run *run, const char *uri, struct ctl_object *ret_object,
                     struct err *err);
enum rc ctl_run_head(struct ctl_run *run, struct store *store, const char *key,
                     struct ctl_object *ret_object, struct err *err);
enum rc ctl_run_get(struct ctl_run *run, const struct ctl_object *object, uint64_t offset,
                    size_t len, void *buffer, struct err *err);
enum rc ctl_run_layout(struct ctl_run *run, const struct ctl_object *object,
                       struct layout **ret_layout, struct err *err);

/** Rows of a dataset, decoded; free with h5_slab_free() once `ret_rows` is no longer needed.
 * RC_LIMIT for more than CTL_ROWS_MAX bytes. */
#define CTL_ROWS_MAX (1ull << 30)
enum rc ctl_run_rows(struct ctl_run *run, const struct ctl_object *object,
                     const struct layout *layout, const struct layout_dataset *dataset,
                     uint64_t first, uint64_t count, struct h5_slab **ret_slab,
                     const uint8_t **ret_rows, struct err *err);
/** The same of one row of a raster (N, H, W, T), to frames: [T][H][W]. Requires: rank 4, elements
 * of 1, 2, 4 or 8 bytes. */
enum rc ctl_run_frames(struct ctl_run *run, const struct ctl_object *object,
                       const struct layout *layout, const struct layout_dataset *dataset,
                       uint64_t row, struct h5_slab **ret_slab, const uint8_t **ret_frames,
                       struct err *err);

/** Tells of one row of a catalog; its strings last for the call. Set `*ret_stop` to end early. */
typedef enum rc ctl_catalog_fn(const struct catalog_row *row, void *arg, bool *ret_stop,
                               struct err *err);
/** Read a CATALOG.csv (any dialect, gzip) row by row. RC_INVALID when it is not one. */
enum rc ctl_run_catalog(struct ctl_run *run, const char *uri, ctl_catalog_fn *fn, void *arg,
                        struct err *err);
