/** @file
 * The directories of a tree, found by a worker.
 *
 * Thread:     watch_walk_run() is a worker's, and blocks.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/str.h"

#define WATCH_WALK_MAX (1u << 18) /**< Directories. */

struct watch_walk {
    const char *root;    /**< Borrowed. */
    char *top;           /**< Key of the directory to begin with, "" for the root. */
    struct strbuf found; /**< Keys of directories, each with its NUL; `top` is the first. */
    size_t count;
    bool cut;         /**< There are more than WATCH_WALK_MAX. */
    int error_number; /**< Of the first directory that could not be read, beside those that
                         vanished. */
};

/** Hidden directories and links are left out. */
void watch_walk_run(struct watch_walk *walk);
void watch_walk_done(struct watch_walk *walk);
