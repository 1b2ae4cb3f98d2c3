/** @file
 * Object stores behind one small interface: list, head, get a range, put, copy, delete.
 *
 * `store_file` is a directory that behaves like a bucket: puts appear whole by rename, keys never
 * leave the root (`..`, absolute paths, links out are refused), etags change when content does.
 * `store_s3` is a bucket, or what lies under a prefix of one; its errors are those of
 * lib/aws/aws.h.
 *
 * Thread:     the loop's.
 * Completion: every `done` runs later, from the loop, exactly once; never from inside the call.
 *             `err` is NULL on success, else borrowed for the call.
 * Ownership:  strings and buffers passed in are borrowed until `done` has run, unless said
 *             otherwise; what a `done` is given is borrowed for the call.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/rc.h"
#include "lib/run/work.h"
#include "lib/store/uri.h"

struct aws;
struct gather;
struct store;
struct store_op; /**< A claim ticket, void from the moment `done` is called. */

/** One object as a listing or a head shows it. */
struct store_object {
    const char *key;
    uint64_t size;
    const char *etag;    /**< Without quotes. */
    const char *version; /**< "" where the store has no versions. */
    int64_t modified_ms; /**< Since 1970. */
};

typedef void store_done_fn(const struct err *err, void *arg);
typedef void store_head_fn(const struct store_object *object, const struct err *err, void *arg);
/** `more` is false on the last page. Keys ascend in byte order, within and across pages. `err` with
 * `objects` not NULL: the page is good, but something in its range could not be read, which `err`
 * names; the listing goes on from the last key all the same. */
typedef void store_list_fn(const struct store_object *objects, unsigned count, bool more,
                           const struct err *err, void *arg);

#define STORE_LIST_MAX 10000
#define STORE_ETAG 128 /**< Longest etag we keep, with its NUL. */

/** One put of a batch. */
struct store_put {
    const char *key;
    const void *bytes;
    size_t len;
    const char *content_type; /**< NULL: application/octet-stream. */
    const char *if_match;     /**< NULL: whatever is there; "": nothing may be there; else the etag
                               *   that must be: RC_CONFLICT if not. */
    char *ret_etag;           /**< NULL, or room for STORE_ETAG bytes: of what was put. */
};

/** What each kind of store implements; the functions below check arguments and call these. */
struct store_ops {
    void (*list)(struct store *, const char *prefix, const char *after, unsigned max,
                 store_list_fn *, void *arg);
    void (*head)(struct store *, const char *key, store_head_fn *, void *arg);
    struct store_op *(*get)(struct store *, const char *key, const char *version, const char *etag,
                            uint64_t offset, size_t len, void *buffer, store_done_fn *, void *arg);
    void (*put)(struct store *, const struct store_put *puts, unsigned count, store_done_fn *,
                void *arg);
    void (*put_file)(struct store *, const char *key, const char *path, store_done_fn *,
                     void (*progress)(uint64_t bytes, void *arg), void *arg);
    void (*copy)(struct store *, const char *from_key, struct store *to, const char *to_key,
                 store_done_fn *, void (*progress)(uint64_t bytes, void *arg), void *arg);
    void (*remove)(struct store *, const char *const *keys, unsigned count, store_done_fn *,
                   void *arg);
    /** NULL: there is no such thing, and it is removed whatever it is. */
    void (*remove_if)(struct store *, const char *key, const char *etag, int64_t within_ms,
                      store_done_fn *, void *arg);
    void (*sync)(struct store *, store_done_fn *, void *arg);
    /** NULL: objects of this kind of store are never open. */
    void (*find_open)(struct store *, const char *const *keys, unsigned count, bool *ret_open,
                      store_done_fn *, void *arg);
    void (*cancel)(struct store_op *);
    /** NULL: there is nothing that could be exchanged behind the name. */
    const char *(*place)(const struct store *);
    void (*free)(struct store *);
};

struct store {
    const struct store_ops *ops;
    struct loop *loop;
    struct uri *uri; /**< Root; keys are relative to it. */
};

struct store_options {
    bool create;           /**< Make a missing root directory; a bucket is nobody's to make. */
    struct aws *aws;       /**< Borrowed until the store is freed; NULL: file stores only. */
    struct gather *gather; /**< File stores: when a sync waits for company; NULL: never. */
};

/** Open the store at `uri` (taken over, also on failure). Nothing is asked of a remote one yet. */
enum rc store_open(struct loop *loop, struct work *work, struct uri *uri,
                   const struct store_options *options, struct store **ret_store, struct err *err);
/** Requires: nothing under way. */
void store_free(struct store *store);
SCOPED_FN(struct store, store_free)
/** The name that records and rows carry: the S3 bucket, or the absolute path of the root. */
const char *store_bucket(const struct store *store);
/** What lies behind the name: it differs when another directory, or file system, took the place of
 * the root. As of the last listing or write; "" where that cannot be. */
const char *store_place(const struct store *store);

/** Whether a request costs next to nothing: then a few large ones are best, else many at once. */
bool store_is_near(const struct store *store);

/** Up to `max` objects whose keys begin with `prefix` and sort after `after` ("" for the first).
 * Memory is bounded by the page, not by the store (a file store also holds the sorted names of the
 * directory it is in, in a window). Hidden names (a part that begins with '.'), links that lead
 * out, sockets and devices are not objects. A root that is not there is RC_IO, never an empty
 * listing. `max` is at most STORE_LIST_MAX. */
void store_list(struct store *store, const char *prefix, const char *after, unsigned max,
                store_list_fn *done, void *arg);
void store_head(struct store *store, const char *key, store_head_fn *done, void *arg);
/** Exactly `len` bytes from `offset` into `buffer`. With `etag` (not NULL) the object must still be
 * that one: RC_CHANGED if not. With `version` (not NULL or "") it is that version that is read,
 * whatever the current one is; stores without versions do not look at it. An object that ends
 * before is RC_CORRUPT. NULL for a key that is refused at once; `done` still comes. */
struct store_op *store_get(struct store *store, const char *key, const char *version,
                           const char *etag, uint64_t offset, size_t len, void *buffer,
                           store_done_fn *done, void *arg);
/** Puts `count` objects as one task. Each appears whole; on failure any number of them may have. */
void store_put(struct store *store, const struct store_put *puts, unsigned count,
               store_done_fn *done, void *arg);
/** Puts a local file; `progress` (may be NULL) is told the total so far, on the loop. */
void store_put_file(struct store *store, const char *key, const char *path, store_done_fn *done,
                    void (*progress)(uint64_t bytes, void *arg), void *arg);
/** Copies within or between stores of one kind, without the bytes passing through us if possible.
 */
void store_copy(struct store *store, const char *from_key, struct store *to, const char *to_key,
                store_done_fn *done, void (*progress)(uint64_t bytes, void *arg), void *arg);
/** Missing keys count as removed. */
void store_remove(struct store *store, const char *const *keys, unsigned count, store_done_fn *done,
                  void *arg);
/** One, if it still has that etag: RC_CONFLICT if not. Not asked for again after `within_ms`. A
 * server that does not know of conditions here is asked for the etag before. */
void store_remove_if(struct store *store, const char *key, const char *etag, int64_t within_ms,
                     store_done_fn *done, void *arg);
/** All puts that have completed are durable when `done` runs. */
void store_sync(struct store *store, store_done_fn *done, void *arg);
/** Sets `ret_open[i]` where a process has that object open for writing, as far as this store can
 * know: where one may not ask (files of others, without CAP_LEASE) it says false. */
void store_find_open(struct store *store, const char *const *keys, unsigned count, bool *ret_open,
                     store_done_fn *done, void *arg);
/** Asks; `done` still comes, with RC_CANCELED unless it had finished. `op` may be NULL. */
void store_cancel(struct store *store, struct store_op *op);

/* The kinds. */
enum rc store_file_new(struct loop *loop, struct work *work, struct uri *uri,
                       const struct store_options *options, struct store **ret_store,
                       struct err *err);
enum rc store_s3_new(struct loop *loop, struct work *work, struct uri *uri,
                     const struct store_options *options, struct store **ret_store,
                     struct err *err);
