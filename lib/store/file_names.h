/** @file
 * The names of one directory, sorted as they appear in keys: a directory's ends in '/', so that
 * "a-b", "a/…" and "ab" come in that order.
 *
 * Thread:     one at a time; reading blocks.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/rc.h"

struct file_names {
    char *bytes; /**< Names with their NULs; a directory's with its '/'. */
    size_t len, cap;
    uint32_t *order; /**< Offsets of names, ascending by name. */
    size_t count, order_cap;
    bool windowed; /**< More names follow, which did not fit. */
};

/** Which names to keep: those that begin with `prefix` and come after `after`. `into`: also the
 * directory that `after` lies in. */
struct file_names_filter {
    const char *prefix, *after;
    bool into;
    size_t window_bytes; /**< Keep the smallest that fit. */
    size_t name_max;     /**< Leave longer names out. */
};

/** Reads the directory `fd` from where it stands. Hidden names, sockets, pipes and devices are left
 * out. 0, or errno. */
int file_names_read(struct file_names *names, int fd, const struct file_names_filter *filter);
void file_names_done(struct file_names *names);
static inline const char *file_names_at(const struct file_names *names, size_t i)
{
    return names->bytes + names->order[i];
}
static inline size_t file_names_bytes(const struct file_names *names)
{
    return names->cap + names->order_cap * sizeof(names->order[0]);
}
