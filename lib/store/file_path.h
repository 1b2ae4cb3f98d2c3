/** @file
 * Names of a file store turned into descriptors, without ever leaving its root.
 *
 * Every path is resolved by openat2(RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS): the kernel refuses
 * "..", absolute paths and links that lead out. Where openat2 is missing (an old kernel, a seccomp
 * filter) the parts are walked one by one and no link is followed at all.
 *
 * Thread:     any; every call may block.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "lib/base/rc.h"

#define FILE_ETAG 56

/** Descriptor of `path` (relative, "" for the root itself), or -1 and errno. */
int file_path_open(int root, const char *path, int flags);
/** The directory that holds `key`, opened O_PATH; `make`: with what is missing of it. `ret_name`
 * points into `key`. -1 and errno. */
int file_path_parent(int root, const char *key, bool make, const char **ret_name);
/** Remove the directories above `key` that are empty, up to the first that is not. */
void file_path_prune(int root, const char *key);
/** Whether a part of the key begins with '.': such names are ours or nobody's. */
bool file_path_hidden(const char *key);
/** The error for `error_number` while doing `what` ("read") to `key`. */
enum rc file_path_error(struct err *err, int error_number, const char *what, const char *key);
/** The error `rc`: "'key' text". */
enum rc file_path_fail(struct err *err, enum rc rc, const char *key, const char *text);

/** Hex of inode, size and modification time in nanoseconds: a put makes a new inode, a write in
 * place a new time. A content that is replaced in place, at the same length, with its time set
 * back on purpose goes unseen. */
void file_path_etag(const struct stat *st, char ret_etag[FILE_ETAG]);
int64_t file_path_mtime_ms(const struct stat *st);

/** Tests only: walk even where openat2 works. */
void file_path_force_walk(bool force);
