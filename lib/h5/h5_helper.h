/** @file
 * The daemon's end of `sevird-h5probe`: libhdf5 runs there, jailed, never here.
 *
 * A call starts one helper process on a socket pair, answers its requests for bytes from the store
 * (pinned to the object's etag), and ends with a layout, with rows, or with an error. A helper that
 * dies, talks nonsense, asks too much or passes its deadline is killed; the error says how it
 * ended:
 *
 *     RC_CORRUPT      libhdf5 refuses the content; its words follow
 *     RC_INVALID      not HDF5, or no such rows
 *     RC_UNSUPPORTED  a filter, a type or a storage nobody here reads, or more memory than allowed
 *     RC_CRASHED      "helper killed by signal 11 (SIGSEGV)", a forbidden system call, nonsense, or
 *                     a quarter of the deadline in processor time: it would do so again
 *     RC_TIMEOUT      the deadline passed, most likely waiting for the store
 *     the store's     when a read failed (RC_CHANGED, RC_NETWORK...)
 *     RC_IO           the helper cannot be started
 *
 * Thread:     the loop's.
 * Completion: `done` later, exactly once. h5_cancel() asks; `done` then says RC_CANCELED.
 * Ownership:  strings are copied. A layout given to `done` is the receiver's to free.
 */
#pragma once

#include "lib/data/layout.h"
#include "lib/data/slab.h"
#include "lib/run/loop.h"
#include "lib/store/store.h"

struct h5_helper;
struct h5_call;

struct h5_options {
    const char *program; /**< Path of sevird-h5probe; NULL: beside us, or the libexec directory. */
    unsigned parallel;   /**< Helpers at once; more wait in line. 0: 1. */
    int64_t deadline_ms; /**< A call, from when its helper starts. 0: a minute. */
    uint64_t memory_bytes; /**< RLIMIT_AS of the helper. 0: 512 MiB. */
};

/** The object to read, as a sighting or a head told. */
struct h5_object {
    struct store *store;
    const char *key;
    const char *version; /**< As store_get(). */
    const char *etag;
    uint64_t size;
    const void *head; /**< Its first `head_len` bytes, where they are known: then the store is not
                       *   asked for them. NULL: they are not. Borrowed until `done`. */
    size_t head_len;
};

typedef void h5_layout_fn(struct layout *layout, const struct err *err, void *arg);
typedef void h5_rows_fn(const struct err *err, void *arg);

struct h5_helper *h5_helper_new(struct loop *loop, const struct h5_options *options);
/** Requires: no call under way. */
void h5_helper_free(struct h5_helper *helper);
SCOPED_FN(struct h5_helper, h5_helper_free)

struct h5_call *h5_layout(struct h5_helper *helper, const struct h5_object *object,
                          h5_layout_fn *done, void *arg);
/** Rows [first, first + count) of a dataset, decoded by libhdf5 into native byte order, into `out`
 * (`len` bytes, which must be exactly what the layout says). For what slab_plan() refuses. */
struct h5_call *h5_rows(struct h5_helper *helper, const struct h5_object *object,
                        const struct layout_dataset *dataset, uint64_t first, uint64_t count,
                        void *out, size_t len, h5_rows_fn *done, void *arg);
void h5_cancel(struct h5_call *call);
/** Bytes that helpers asked of stores so far. */
uint64_t h5_helper_bytes(const struct h5_helper *helper);
