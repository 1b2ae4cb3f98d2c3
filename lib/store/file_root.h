/** @file
 * The root of a file store as a descriptor, shared by the tasks that began with it: whoever takes
 * its place in the file system does not take it in theirs.
 *
 * Thread:     the loop's; a worker may use the descriptor of a root that is held for it.
 * Ownership:  counted; the last one who gives it back closes it.
 */
#pragma once

struct file_root {
    int fd;
    unsigned refs;
    char place[48]; /**< store_place(). */
};

/** NULL with errno. One reference is the caller's. Any thread. */
struct file_root *file_root_open(const char *path);
struct file_root *file_root_ref(struct file_root *root);
/** NULL is fine. */
void file_root_unref(struct file_root *root);
