/** @file
 * The directories of a tree. `found` is also the queue: what was found is read in its turn, so that
 * one descriptor is open at a time however deep the tree.
 */
#include "daemon/source/watch_walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/store/file_path.h"

static bool is_directory(DIR *dir, const struct dirent *entry)
{
    struct stat st;

    if (entry->d_name[0] == '.') {
        return false;
    }
    if (entry->d_type != DT_UNKNOWN) {
        return entry->d_type == DT_DIR;
    }
    return fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

static void add(struct watch_walk *walk, size_t parent_at, const char *name)
{
    const char *parent = walk->found.data + parent_at;
    size_t parent_len = strlen(parent), len = strlen(name);

    if (walk->count == WATCH_WALK_MAX) {
        walk->cut = true;
        return;
    }
    if (parent_len + len + 2 > PATH_MAX) {
        return; /* what lies there is no object */
    }
    for (size_t i = 0; i < parent_len; i++) { /* the buffer may move under `parent` */
        strbuf_putc(&walk->found, walk->found.data[parent_at + i]);
    }
    if (parent_len > 0) {
        strbuf_putc(&walk->found, '/');
    }
    strbuf_add(&walk->found, name, len + 1);
    walk->count++;
}

static void read_dir(struct watch_walk *walk, int root, size_t at)
{
    int fd = file_path_open(root, walk->found.data + at, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    const struct dirent *entry;

    if (dir == NULL) {
        if (walk->error_number == 0 && errno != ENOENT && errno != ENOTDIR && errno != ELOOP) {
            walk->error_number = errno;
        }
        if (fd >= 0) {
            close(fd);
        }
        return;
    }
    while ((entry = readdir(dir)) != NULL) {
        if (is_directory(dir, entry)) {
            add(walk, at, entry->d_name);
        }
    }
    closedir(dir);
}

void watch_walk_run(struct watch_walk *walk)
{
    int root = open(walk->root, O_PATH | O_DIRECTORY | O_CLOEXEC);

    strbuf_reset(&walk->found);
    walk->count = 0;
    walk->cut = false;
    walk->error_number = root < 0 ? errno : 0;
    if (root < 0) {
        return;
    }
    strbuf_add(&walk->found, walk->top, strlen(walk->top) + 1);
    walk->count = 1;
    for (size_t at = 0; at < walk->found.len; at += strlen(walk->found.data + at) + 1) {
        read_dir(walk, root, at);
    }
    close(root);
}

void watch_walk_done(struct watch_walk *walk)
{
    free(walk->top);
    strbuf_done(&walk->found);
    *walk = (struct watch_walk){0};
}
