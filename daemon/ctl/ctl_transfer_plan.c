/** @file
 * The plan of a transfer: what the source has, and what the target has already.
 */
#include <errno.h>
#include <sys/stat.h>

#include "daemon/ctl/ctl_transfer_p.h"
#include "lib/base/mem.h"

#define HEADS 32 /**< At a time. */

static enum rc head_local(const char *path, uint64_t *ret_size, int64_t *ret_modified_ms,
                          struct err *err)
{
    struct stat st;

    if (stat(path, &st) != 0) {
        return err_errno(err, errno, "'%.200s'", path);
    }
    if (!S_ISREG(st.st_mode)) {
        return err_set(err, RC_INVALID, "'%.200s' is %s", path,
                       S_ISDIR(st.st_mode) ? "a folder; name the files in it" : "not a file");
    }
    *ret_size = (uint64_t)st.st_size;
    *ret_modified_ms = (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000;
    return RC_OK;
}

static void over(struct ctl_item *item)
{
    struct ctl_transfer *transfer = item->transfer;

    ctl_progress_set(transfer->progress, "files looked at", transfer->over + 1, transfer->count);
    ctl_transfer_over(item);
}

/** S3 keeps whole seconds. */
static int64_t as_kept(const struct store *store, int64_t modified_ms)
{
    return store->uri->scheme == URI_S3 ? modified_ms / 1000 * 1000 : modified_ms;
}

static void on_target(const struct store_object *object, const struct err *err, void *arg)
{
    struct ctl_item *item = arg;
    const struct store *to = item->transfer->to;

    /* One that may not look may still write; whatever else is wrong the transfer will say. */
    if (err == NULL && object->size == item->size &&
        object->modified_ms >= as_kept(to, item->modified_ms)) {
        item->state = CTL_ITEM_PRESENT;
    }
    over(item);
}

/** The source has it; whether it may be moved, and whether it has been. */
static bool plan_target(struct ctl_item *item)
{
    struct ctl_transfer *transfer = item->transfer;
    struct err err;

    if (uri_check_key(item->to, &err) != RC_OK) {
        ctl_transfer_fail(item, &err);
        return false;
    }
    if (!transfer->skip_present || transfer->to == NULL) {
        return false;
    }
    store_head(transfer->to, item->to, on_target, item);
    return true;
}

static void on_source(const struct store_object *object, const struct err *err, void *arg);

static void try_second(struct ctl_item *item)
{
    free(item->from);
    free(item->to);
    item->from = TAKE(item->second);
    item->to = str_dup(item->from);
    store_head(item->transfer->from, item->from, on_source, item);
}

static void fail_missing(struct ctl_item *item)
{
    scoped(free) char *where = uri_format(item->transfer->from->uri, NULL);
    char shown[URI_SHOWN];
    struct err err;

    err_set(&err, RC_NOT_FOUND, "'%s' is not in '%.200s'", uri_show(item->from, shown), where);
    ctl_transfer_fail(item, &err);
}

static void on_source(const struct store_object *object, const struct err *err, void *arg)
{
    struct ctl_item *item = arg;

    /* Who may not list is denied what is not there. */
    if (err != NULL && (err->rc == RC_NOT_FOUND || err->rc == RC_DENIED) && item->second != NULL) {
        try_second(item);
        return;
    }
    if (err != NULL) {
        if (err->rc == RC_NOT_FOUND) {
            fail_missing(item);
        } else {
            ctl_transfer_fail(item, err);
        }
        over(item);
        return;
    }
    item->size = object->size;
    item->modified_ms = object->modified_ms;
    item->etag = str_dup(object->etag);
    if (!plan_target(item)) {
        over(item);
    }
}

static bool plan_item(struct ctl_item *item)
{
    struct ctl_transfer *transfer = item->transfer;
    struct err err;

    if (transfer->from != NULL) {
        store_head(transfer->from, item->from, on_source, item);
        return true;
    }
    if (head_local(item->from, &item->size, &item->modified_ms, &err) != RC_OK) {
        ctl_transfer_fail(item, &err);
        return false;
    }
    return plan_target(item);
}

void ctl_transfer_plan(struct ctl_transfer *transfer)
{
    transfer->progress = ctl_progress_new(transfer->ctl, CTL_COUNT);
    ctl_transfer_each(transfer, HEADS, plan_item);
    ctl_progress_free(TAKE(transfer->progress));
}
