/** @file
 * The local file system for our own files (state, staging, configuration); not for stores.
 *
 * Thread:     any; every call may block, so the loop thread uses them only before it runs.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "lib/base/rc.h"

/** As `mkdir -p`. A directory that is there keeps its mode. */
enum rc fs_mkdirs(const char *path, mode_t mode, struct err *err);
/** The whole file, NUL-terminated; the caller frees. RC_LIMIT when it is over `max_bytes`. */
enum rc fs_read_file(const char *path, size_t max_bytes, char **ret_bytes, size_t *ret_len,
                     struct err *err);
/** RC_INVALID where a device, a pipe or a socket is in the place: a rename would take it away.
 * Links are followed. What is not there may be made. */
enum rc fs_may_replace(const char *path, struct err *err);
/** Appears whole by rename, after fsync of file and directory; as fs_may_replace() allows. */
enum rc fs_write_file(const char *path, const void *bytes, size_t len, mode_t mode,
                      struct err *err);
/** What was made in the directory, renamed or removed, stays so after a power cut. */
enum rc fs_sync_dir(const char *dir, struct err *err);
/** Whether `dir` is `above`, or lies somewhere below it, whatever links and mounts lead there.
 * False when either cannot be looked at. */
bool fs_lies_in(const char *dir, const char *above);
/** "dir/name" with exactly one slash between; the caller frees. */
char *fs_join(const char *dir, const char *name);
/** For main(), first of all: where descriptors 0 to 2 are closed, puts something in their place, so
 * that no file that is opened later gets what is meant for standard output. They stay useless: what
 * writes to 1 or 2, or reads 0, fails. */
void fs_hold_standard(void);
/** write() until everything is written. */
enum rc fs_write_all(int fd, const void *bytes, size_t len, struct err *err);
