/** @file
 * One thing at a time on a loop of one's own.
 */
#include "daemon/ctl/ctl_run_p.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/mem.h"

#define HELPER_DEADLINE_MS 60000
#define HELPER_DEADLINE_FAR_MS 600000 /**< Its reads cross a network. */
#define HELPER_MEMORY (2ull << 30)
#define PATIENCE_MS 500 /**< Before a bar is drawn. */
#define REDRAW_MS 100

struct ctl_run *ctl_run_new(const struct ctl *ctl, const struct ctl_args *args)
{
    static const unsigned widths[WORK_LANE_COUNT] = {
        [WORK_CPU] = 2, [WORK_FILE] = 4, [WORK_READ] = 1, [WORK_STATE] = 1, [WORK_CATALOG] = 1};
    struct ctl_run *run = mem_new(struct ctl_run);

    run->ctl = ctl;
    run->args = args;
    run->loop = loop_new();
    run->work = work_new(run->loop, widths);
    return run;
}

void ctl_run_free(struct ctl_run *run)
{
    if (run == NULL) {
        return;
    }
    h5_helper_free(run->helper);
    aws_free(run->aws);
    aws_free(run->source_aws);
    free(run->source_bucket);
    http_client_free(run->http);
    work_free(run->work);
    loop_free(run->loop);
    free(run);
}

const struct ctl *ctl_run_ctl(const struct ctl_run *run)
{
    return run->ctl;
}

struct loop *ctl_run_loop(struct ctl_run *run)
{
    return run->loop;
}

struct work *ctl_run_work(struct ctl_run *run)
{
    return run->work;
}

struct h5_helper *ctl_run_helper(struct ctl_run *run)
{
    const struct h5_options options = {.parallel = 1,
                                       .deadline_ms = run->http != NULL ? HELPER_DEADLINE_FAR_MS
                                                                        : HELPER_DEADLINE_MS,
                                       .memory_bytes = HELPER_MEMORY};

    if (run->helper == NULL) {
        run->helper = h5_helper_new(run->loop, &options);
    }
    return run->helper;
}

void ctl_object_done(struct ctl_object *object)
{
    free(object->key);
    free(object->etag);
    if (object->owns_store) {
        store_free(object->store);
    }
    *object = (struct ctl_object){0};
}

struct h5_object ctl_object_h5(const struct ctl_object *object)
{
    return (struct h5_object){
        .store = object->store, .key = object->key, .etag = object->etag, .size = object->size};
}

/* ---- waiting ------------------------------------------------------------------------------- */

/** What is waited for, and how it ended. */
struct wait {
    struct ctl_run *run;
    const char *label;          /**< NULL: nothing to show. */
    const struct h5_slab *slab; /**< How far it is; NULL: what the helper has read tells. */
    uint64_t helper_before;
    struct ctl_progress *progress;
    struct loop_timer *redraw;
    bool over;
    struct err err; /**< rc RC_OK when it went well. */
    struct ctl_object *object;
    struct layout *layout;
};

static void end_wait(struct wait *wait, const struct err *err)
{
    if (err != NULL) {
        wait->err = *err;
    }
    wait->over = true;
    loop_stop(wait->run->loop);
}

static void on_redraw(void *arg)
{
    struct wait *wait = arg;
    uint64_t total = 0, done = 0;

    if (wait->progress == NULL) {
        wait->progress = ctl_progress_new(wait->run->ctl, CTL_BYTES);
    }
    if (wait->slab != NULL) {
        total = h5_slab_fetch_bytes(wait->slab);
        done = h5_slab_arrived_bytes(wait->slab);
    }
    if (done == 0 && wait->run->helper != NULL) {
        done = h5_helper_bytes(wait->run->helper) - wait->helper_before;
        total = done > total ? 0 : total;
    }
    ctl_progress_set(wait->progress, wait->label, done, total);
    loop_timer_arm(wait->redraw, REDRAW_MS);
}

static enum rc wait_for(struct wait *wait, struct err *err)
{
    if (wait->label != NULL && wait->run->ctl->progress) {
        wait->redraw = loop_timer_new(wait->run->loop, on_redraw, wait);
        loop_timer_arm(wait->redraw, PATIENCE_MS);
    }
    while (!wait->over) {
        loop_run(wait->run->loop);
    }
    ctl_progress_free(wait->progress);
    loop_timer_free(wait->redraw);
    if (wait->err.rc != RC_OK) {
        *err = wait->err;
    }
    return wait->err.rc;
}

static void on_done(const struct err *err, void *arg)
{
    end_wait(arg, err);
}

/* ---- stores -------------------------------------------------------------------------------- */

enum rc ctl_run_uri(const char *text, struct uri **ret_uri, struct err *err)
{
    char here[PATH_MAX];

    if (getcwd(here, sizeof(here)) == NULL) {
        return err_errno(err, errno, "working directory");
    }
    return uri_parse(text, here, ret_uri, err);
}

bool ctl_run_is_s3(const char *uri)
{
    return str_starts(uri, "s3://");
}

/** False when it is not local or not there. */
static bool stat_uri(const char *text, struct stat *ret_stat)
{
    scoped(uri_free) struct uri *uri = NULL;
    struct err err;

    return ctl_run_uri(text, &uri, &err) == RC_OK && uri->scheme == URI_FILE &&
           stat(uri->path, ret_stat) == 0;
}

bool ctl_run_is_folder(const char *uri)
{
    struct stat st;

    return stat_uri(uri, &st) && S_ISDIR(st.st_mode);
}

bool ctl_run_is_same(const char *uri, const char *other)
{
    struct stat a, b;

    return stat_uri(uri, &a) && stat_uri(other, &b) && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/** Takes the URI over. */
static enum rc open_store(struct ctl_run *run, struct uri *uri, struct store **ret_store,
                          struct err *err)
{
    scoped(uri_free) struct uri *owned = uri;
    struct store_options options = {.create = false};

    if (uri->scheme == URI_S3 && ctl_run_aws_of(run, uri->bucket, &options.aws, err) != RC_OK) {
        return err->rc;
    }
    return store_open(run->loop, run->work, TAKE(owned), &options, ret_store, err);
}

enum rc ctl_run_open_store(struct ctl_run *run, const char *text, struct store **ret_store,
                           struct err *err)
{
    struct uri *uri;

    return ctl_run_uri(text, &uri, err) == RC_OK ? open_store(run, uri, ret_store, err) : err->rc;
}

/** A key that ends in '/' is a folder that some tool has made an object of. */
static enum rc split_bucket(struct uri *uri, char **ret_key, struct err *err)
{
    if (uri->path[0] == '\0' || str_ends(uri->path, "/")) {
        return err_set(err, RC_INVALID, "'s3://%s/%s' is %s; name an object in it", uri->bucket,
                       uri->path, uri->path[0] == '\0' ? "a bucket" : "a folder");
    }
    *ret_key = uri->path;
    uri->path = str_dup("");
    return RC_OK;
}

/** Follow links, and take the path apart: `uri` becomes the folder, the rest is the key. */
static enum rc split_path(struct uri *uri, char **ret_key, struct err *err)
{
    scoped(free) char *path = realpath(uri->path, NULL);
    struct stat st;

    if (path == NULL || stat(path, &st) != 0) {
        return err_errno(err, errno, "'%s'", uri->path);
    }
    if (!S_ISREG(st.st_mode)) {
        return err_set(err, RC_INVALID, "'%s' is %s", uri->path,
                       S_ISDIR(st.st_mode) ? "a folder; name a file in it" : "not a file");
    }
    char *slash = strrchr(path, '/');
    *ret_key = str_dup(slash + 1);
    slash[slash == path] = '\0';
    free(uri->path);
    uri->path = TAKE(path);
    return RC_OK;
}

/** The answer to a HEAD is a number: why it is that, only one with a body can tell. */
static void explain_head(struct ctl_run *run, struct store *store, const char *key, struct err *err)
{
    struct wait wait = {.run = run};
    struct err why;
    char byte;

    if (store->uri->scheme != URI_S3 || (err->rc != RC_NOT_FOUND && err->rc != RC_DENIED)) {
        return;
    }
    store_get(store, key, NULL, NULL, 0, 1, &byte, on_done, &wait);
    switch (wait_for(&wait, &why)) {
    case RC_NOT_FOUND:
    case RC_DENIED:
    case RC_HOST: /* it is our credentials, or our clock */
        *err = why;
        break;
    default:
        break;
    }
}

enum rc ctl_run_open(struct ctl_run *run, const char *text, struct ctl_object *ret_object,
                     struct err *err)
{
    scoped(uri_free) struct uri *uri = NULL;
    scoped(free) char *key = NULL;
    struct store *store;

    if (ctl_run_uri(text, &uri, err) != RC_OK ||
        (uri->scheme == URI_S3 ? split_bucket : split_path)(uri, &key, err) != RC_OK ||
        open_store(run, TAKE(uri), &store, err) != RC_OK) {
        return err->rc;
    }
    if (ctl_run_head(run, store, key, ret_object, err) != RC_OK) {
        explain_head(run, store, key, err);
        store_free(store);
        return err->rc;
    }
    ret_object->owns_store = true;
    return RC_OK;
}

static void on_listed(const struct store_object *objects, unsigned count, bool more,
                      const struct err *err, void *arg)
{
    (void)objects;
    (void)count;
    (void)more;
    end_wait(arg, err);
}

enum rc ctl_run_check(struct ctl_run *run, struct store *store, struct err *err)
{
    struct wait wait = {.run = run};
    enum rc rc;

    if (store->uri->scheme != URI_S3) {
        return RC_OK;
    }
    store_list(store, "", "", 1, on_listed, &wait);
    rc = wait_for(&wait, err);
    return rc == RC_DENIED ? RC_OK : rc;
}

/* ---- objects ------------------------------------------------------------------------------- */

static void on_head(const struct store_object *object, const struct err *err, void *arg)
{
    struct wait *wait = arg;

    if (err == NULL) {
        wait->object->key = str_dup(object->key);
        wait->object->etag = str_dup(object->etag);
        wait->object->size = object->size;
    }
    end_wait(wait, err);
}

enum rc ctl_run_head(struct ctl_run *run, struct store *store, const char *key,
                     struct ctl_object *ret_object, struct err *err)
{
    struct ctl_object object = {.store = store};
    struct wait wait = {.run = run, .object = &object};

    store_head(store, key, on_head, &wait);
    if (wait_for(&wait, err) == RC_OK) {
        *ret_object = object;
    }
    return wait.err.rc;
}

enum rc ctl_run_get(struct ctl_run *run, const struct ctl_object *object, uint64_t offset,
                    size_t len, void *buffer, struct err *err)
{
    struct wait wait = {.run = run};

    store_get(object->store, object->key, NULL, object->etag, offset, len, buffer, on_done, &wait);
    return wait_for(&wait, err);
}

static void on_layout(struct layout *layout, const struct err *err, void *arg)
{
    struct wait *wait = arg;

    wait->layout = layout;
    end_wait(wait, err);
}

enum rc ctl_run_layout(struct ctl_run *run, const struct ctl_object *object,
                       struct layout **ret_layout, struct err *err)
{
    struct wait wait = {
        .run = run, .label = object->key, .helper_before = h5_helper_bytes(ctl_run_helper(run))};
    struct h5_object h5 = ctl_object_h5(object);

    h5_layout(ctl_run_helper(run), &h5, on_layout, &wait);
    if (wait_for(&wait, err) == RC_OK) {
        *ret_layout = wait.layout;
    }
    return wait.err.rc;
}

/** Fetch and decode what a slab was opened for. */
static enum rc read_rows(struct ctl_run *run, const struct ctl_object *object, struct h5_slab *slab,
                         const char *dataset, const uint8_t **ret_rows, struct err *err)
{
    struct wait wait = {.run = run,
                        .slab = slab,
                        .label = object->key,
                        .helper_before = h5_helper_bytes(ctl_run_helper(run))};
    uint8_t *rows;

    if (h5_slab_bytes(slab) > CTL_ROWS_MAX) {
        return err_set(err, RC_LIMIT, "dataset '%.80s': an event takes %" PRIu64 " bytes of memory",
                       dataset, h5_slab_bytes(slab));
    }
    h5_slab_fetch(slab, on_done, &wait);
    if (wait_for(&wait, err) != RC_OK || h5_slab_decode(slab, &rows, err) != RC_OK) {
        return err->rc;
    }
    *ret_rows = rows;
    return RC_OK;
}

enum rc ctl_run_rows(struct ctl_run *run, const struct ctl_object *object,
                     const struct layout *layout, const struct layout_dataset *dataset,
                     uint64_t first, uint64_t count, struct h5_slab **ret_slab,
                     const uint8_t **ret_rows, struct err *err)
{
    const struct h5_object h5 = ctl_object_h5(object);
    scoped(h5_slab_free) struct h5_slab *slab = NULL;

    if (h5_slab_open(ctl_run_helper(run), &h5, layout, dataset, first, count, &slab, err) !=
            RC_OK ||
        read_rows(run, object, slab, dataset->name, ret_rows, err) != RC_OK) {
        return err->rc;
    }
    *ret_slab = TAKE(slab);
    return RC_OK;
}

enum rc ctl_run_frames(struct ctl_run *run, const struct ctl_object *object,
                       const struct layout *layout, const struct layout_dataset *dataset,
                       uint64_t row, struct h5_slab **ret_slab, const uint8_t **ret_frames,
                       struct err *err)
{
    const struct h5_object h5 = ctl_object_h5(object);
    scoped(h5_slab_free) struct h5_slab *slab = NULL;

    if (h5_slab_open(ctl_run_helper(run), &h5, layout, dataset, row, 1, &slab, err) != RC_OK) {
        return err->rc;
    }
    h5_slab_by_frames(slab);
    if (read_rows(run, object, slab, dataset->name, ret_frames, err) != RC_OK) {
        return err->rc;
    }
    *ret_slab = TAKE(slab);
    return RC_OK;
}
