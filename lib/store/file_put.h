/** @file
 * How a file appears in a file store: whole, or not at all.
 *
 * The bytes go into an unnamed file (O_TMPFILE), which a crash takes with it; a link gives it its
 * name, and where that name is taken, a hidden name (".sevird-<pid>-<n>.tmp") and a rename. File
 * systems without unnamed files get the hidden name from the start. Nothing is fsynced here:
 * store_sync() does that for all at once.
 *
 * Thread:     any; every call blocks.
 * Ownership:  a `struct file_put` owns its descriptors until file_put_done().
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/rc.h"
#include "lib/store/file_path.h"

#define FILE_PUT_NAME 64

struct file_put {
    int root;        /**< Borrowed. */
    const char *key; /**< Borrowed. */
    int dir, fd;
    const char *name;
    char temp[FILE_PUT_NAME]; /**< "" while the file has no name. */
    const char *if_match;     /**< As in struct store_put; borrowed. */
};

#define FILE_PUT_NONE ((struct file_put){.root = -1, .dir = -1, .fd = -1})

/** What a long copy shares with the loop. */
struct file_progress {
    atomic_bool canceled;
    atomic_ullong bytes;
    void (*moved)(void *arg); /**< `bytes` has grown; on the worker. NULL: nobody wants to know. */
    void *arg;
};

enum rc file_put_open(struct file_put *put, int root, const char *key, struct err *err);
/** Instead of file_put_done() and file_put_open() for another key of the same root: keys of the
 * same folder share its descriptor. */
enum rc file_put_next(struct file_put *put, const char *key, struct err *err);
enum rc file_put_write(struct file_put *put, const void *bytes, size_t len, struct err *err);
/** Everything that `from` holds, by reference or inside the kernel where that can be. `from_key` is
 * for messages. RC_CHANGED when somebody wrote to it meanwhile. */
enum rc file_put_copy(struct file_put *put, int from, const char *from_key,
                      struct file_progress *progress, struct err *err);
/** Gives the file its name, in the place of the file that had it. RC_CONFLICT: that is not the one
 * of `if_match`. That nothing is there is sure; that the right one is there is only looked at just
 * before, for a file system can do no better. */
enum rc file_put_commit(struct file_put *put, struct err *err);
/** Of what was put. */
void file_put_etag(const struct file_put *put, char ret_etag[FILE_ETAG]);
/** Also after a failure or without a commit: then nothing stays. */
void file_put_done(struct file_put *put);

/** Tests only: as on a file system without unnamed files. */
void file_put_force_named(bool force);
