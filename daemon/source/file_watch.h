/** @file
 * Watching a file store: inotify on every directory, its descriptor polled by the loop. Each name
 * that appears, changes or goes is handed on; what inotify loses, or what comes in a burst, is
 * handed on as "list".
 *
 * A directory is watched before it is looked at, so that nothing can slip in between: the walk that
 * finds directories (a worker's) is repeated until it finds none that is not watched yet.
 *
 * Thread:     the loop's.
 * Completion: the calls of `struct file_watch_calls` later, from the loop.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "daemon/source/source.h"

struct services;
struct file_watch;

#define FILE_WATCH_BURST 1024 /**< Names within a tick that are looked after one by one. */

struct file_watch_calls {
    void (*changed)(const char *key, void *arg);
    void (*lost)(void *arg);  /**< List: some names were not told. */
    void (*ready)(void *arg); /**< All directories are watched, or (perhaps from inside
                               *   file_watch_start()) it was given up; list now. */
    void *arg;
};

/** NULL when the raw store has no directory to watch. */
struct file_watch *file_watch_new(struct services *services, const struct file_watch_calls *calls);
/** Requires: file_watch_busy() is false. */
void file_watch_free(struct file_watch *watch);
/** Begin to watch, or begin again if the root was lost; nothing when it is watched. */
void file_watch_start(struct file_watch *watch);
/** Tell nothing more; `rested` is called when a walk that is under way has ended. */
void file_watch_stop(struct file_watch *watch, void (*rested)(void *arg), void *arg);
/** Whether a walk is under way. */
bool file_watch_busy(const struct file_watch *watch);
/** Whether the kernel holds notices that were not read yet, or a directory is yet to be walked. */
bool file_watch_pending(const struct file_watch *watch);
void file_watch_status(const struct file_watch *watch, struct source_status *ret_status);
