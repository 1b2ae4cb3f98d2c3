/** @file
 * A file store's keys in byte order, a page at a time.
 *
 * The cursor is a stack of directories from the prefix's down to the one the listing is in, each
 * with its sorted names and the next one to look at.
 */
#include "lib/store/file_list.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/base/now.h"
#include "lib/base/str.h"
#include "lib/store/file_names.h"
#include "lib/store/file_path.h"

#define WINDOW_BYTES_MIN (16u << 10)
#define OPEN_DEPTH 32 /**< Directories above this many levels are opened again when needed. */
#define RACY_NS                                                                                  \
    20000000ll             /**< Times tick: a change this close to a reading may look like none. \
                            */
#define FREE_READ_US 20000 /**< Reading again for less is no question. */
#define READ_SHARE 10      /**< Else: at most a tenth of the time goes into reading again. */

struct list_dir {
    size_t key_len; /**< Of the directory's own key with its '/', in file_list.key. */
    int fd;         /**< Open only while a page is made. */
    dev_t dev;
    ino_t ino;
    struct timespec mtime; /**< When the names were read; 0 where it may have ticked since. */
    int64_t read_us, read_at_us;
    struct file_names names;
    size_t next;
};

struct file_list {
    char *prefix, *last; /**< What the next call must ask for to go on. */
    struct strbuf key;   /**< Of the top directory, "" or with '/' at its end. */
    struct list_dir *dirs;
    unsigned depth, cap;
    size_t window_bytes;
};

/** What one call works with. */
struct walk {
    struct file_list *list;
    int root;
    struct file_list_page *page;
    struct stat st;     /**< Of the object that find() has found. */
    struct strbuf path; /**< And its key. */
};

struct file_list *file_list_new(void)
{
    struct file_list *list = mem_new(struct file_list);

    list->window_bytes = FILE_LIST_BYTES;
    return list;
}

void file_list_set_window(struct file_list *list, size_t bytes)
{
    list->window_bytes = bytes;
}

size_t file_list_bytes(const struct file_list *list)
{
    size_t sum = 0;

    for (unsigned i = 0; i < list->depth; i++) {
        sum += file_names_bytes(&list->dirs[i].names);
    }
    return sum;
}

static void pop(struct file_list *list)
{
    struct list_dir *top = &list->dirs[--list->depth];

    if (top->fd >= 0) {
        close(top->fd);
    }
    file_names_done(&top->names);
    list->key.len = list->depth > 0 ? list->dirs[list->depth - 1].key_len : 0;
    if (list->key.data != NULL) {
        list->key.data[list->key.len] = '\0';
    }
}

static void reset(struct file_list *list)
{
    while (list->depth > 0) {
        pop(list);
    }
    strbuf_reset(&list->key);
}

void file_list_free(struct file_list *list)
{
    if (list != NULL) {
        reset(list);
        strbuf_done(&list->key);
        free(list->prefix);
        free(list->last);
        free(list->dirs);
        free(list);
    }
}

void file_list_page_done(struct file_list_page *page)
{
    arena_free(page->strings);
    free(page->objects);
    *page = (struct file_list_page){0};
}

/** Note what could not be read, and go on: one closed directory must not hide all others. */
static void note_problem(struct walk *walk, int error_number, const char *key)
{
    if (!walk->page->partial) {
        walk->page->partial = true;
        file_path_error(&walk->page->problem, error_number, "list", key);
    }
}

/** What is gone, or is no directory any more, is not a problem: it was moved while we looked. */
static bool vanished(int error_number)
{
    return error_number == ENOENT || error_number == ENOTDIR || error_number == ELOOP ||
           error_number == EXDEV;
}

static void stamp(struct list_dir *dir, const struct stat *st, int64_t began_us)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    int64_t age_ns = (int64_t)(now.tv_sec - st->st_mtim.tv_sec) * 1000000000ll +
                     (now.tv_nsec - st->st_mtim.tv_nsec);

    dir->dev = st->st_dev;
    dir->ino = st->st_ino;
    dir->mtime = age_ns > RACY_NS ? st->st_mtim : (struct timespec){0};
    dir->read_at_us = now_mono_us();
    dir->read_us = dir->read_at_us - began_us;
}

/** The part of `text` that belongs to names of a directory whose key has `key_len` bytes, or "". */
static const char *below(const char *text, const char *key, size_t key_len)
{
    return strncmp(text, key, key_len) == 0 ? text + key_len : "";
}

/** Read the top directory's names from `after` (a name) on. 0, or errno. */
static int load(struct file_list *list, const char *after, bool into)
{
    struct list_dir *top = &list->dirs[list->depth - 1];
    size_t used = file_list_bytes(list) - file_names_bytes(&top->names);
    struct file_names_filter filter = {
        .prefix = below(list->prefix, strbuf_text(&list->key), top->key_len),
        .after = after,
        .into = into,
        .window_bytes = used + WINDOW_BYTES_MIN < list->window_bytes ? list->window_bytes - used
                                                                     : WINDOW_BYTES_MIN,
        .name_max = PATH_MAX - 1 - MIN_OF(top->key_len, (size_t)PATH_MAX - 1),
    };
    int64_t began_us = now_mono_us();
    struct stat st;

    if (fstat(top->fd, &st) != 0) {
        return errno;
    }
    if (st.st_nlink == 0) {
        return ENOENT;
    }
    int failed = file_names_read(&top->names, top->fd, &filter);

    top->next = 0;
    stamp(top, &st, began_us);
    return failed;
}

/** Enter `name` ("" for the prefix's own directory, else with '/') as `fd`, which is taken over. */
static int push(struct file_list *list, int fd, const char *name, const char *after)
{
    if (list->depth == list->cap) {
        list->cap = MAX_OF(list->cap * 2, 8u);
        list->dirs = mem_resize(list->dirs, list->cap, sizeof(list->dirs[0]));
    }
    strbuf_puts(&list->key, name);
    list->dirs[list->depth++] = (struct list_dir){.key_len = list->key.len, .fd = fd};
    if (list->depth > OPEN_DEPTH && list->dirs[list->depth - 1 - OPEN_DEPTH].fd >= 0) {
        close(list->dirs[list->depth - 1 - OPEN_DEPTH].fd);
        list->dirs[list->depth - 1 - OPEN_DEPTH].fd = -1;
    }

    int failed = load(list, below(after, strbuf_text(&list->key), list->key.len), true);

    if (failed != 0) {
        pop(list);
    }
    return failed;
}

/** Begin at the directory that `prefix` names. */
static int start(struct walk *walk, const char *prefix, const char *after)
{
    struct file_list *list = walk->list;
    const char *slash = strrchr(prefix, '/');
    scoped(free) char *dir = str_dup_n(prefix, slash != NULL ? (size_t)(slash - prefix) : 0);
    scoped(free) char *name = str_dup_n(prefix, slash != NULL ? (size_t)(slash - prefix) + 1 : 0);
    struct err unused;

    reset(list);
    free(list->prefix);
    list->prefix = str_dup(prefix);
    if (file_path_hidden(prefix) || (slash != NULL && uri_check_parts(dir, &unused) != RC_OK) ||
        (strcmp(after, prefix) > 0 && !str_starts(after, prefix))) {
        return 0; /* no key can be there */
    }

    int fd = file_path_open(walk->root, dir, O_RDONLY | O_DIRECTORY);
    int failed = fd < 0 ? errno : push(list, fd, name, after);

    /* Keys under a prefix that is not there: none. The root itself must be there. */
    return vanished(failed) && dir[0] != '\0' ? 0 : failed;
}

/** The descriptor of a level, opened by its key if it was closed; -1 when it is another directory
 * by now. */
static int dir_fd(struct walk *walk, unsigned level)
{
    struct list_dir *dir = &walk->list->dirs[level];
    scoped(free) char *path = NULL;
    struct stat st;

    if (dir->fd >= 0) {
        return dir->fd;
    }
    path = str_dup_n(strbuf_text(&walk->list->key), dir->key_len > 0 ? dir->key_len - 1 : 0);
    dir->fd = file_path_open(walk->root, path, O_RDONLY | O_DIRECTORY);
    if (dir->fd >= 0 &&
        (fstat(dir->fd, &st) != 0 || st.st_dev != dir->dev || st.st_ino != dir->ino)) {
        close(dir->fd);
        dir->fd = -1;
        errno = ENOENT;
    }
    return dir->fd;
}

/** Whether every directory on the stack still is what was read, or not worth reading again yet. */
static bool fresh(struct walk *walk)
{
    struct file_list *list = walk->list;

    for (unsigned i = 0; i < list->depth; i++) {
        struct list_dir *dir = &list->dirs[i];
        struct stat st;

        if (dir_fd(walk, i) < 0 || fstat(dir->fd, &st) != 0) {
            return false;
        }
        bool changed =
            st.st_mtim.tv_sec != dir->mtime.tv_sec || st.st_mtim.tv_nsec != dir->mtime.tv_nsec;

        if (changed && (dir->read_us < FREE_READ_US ||
                        now_mono_us() - dir->read_at_us > READ_SHARE * dir->read_us)) {
            return false;
        }
    }
    return true;
}

static void enter(struct walk *walk, const char *name, const char *after)
{
    struct file_list *list = walk->list;
    char part[NAME_MAX + 2];
    size_t len = strlen(name);
    int dir = dir_fd(walk, list->depth - 1);
    int fd = -1, failed;

    memcpy(part, name, len); /* push() moves the names of no other level, but the array of levels */
    part[len] = '\0';
    if (dir >= 0) {
        part[len - 1] = '\0';
        fd = openat(dir, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        part[len - 1] = '/';
    }
    list->dirs[list->depth - 1].next++;
    failed = fd < 0 ? errno : push(list, fd, part, after);
    if (failed != 0 && !vanished(failed)) {
        strbuf_reset(&walk->path);
        strbuf_printf(&walk->path, "%s%s", strbuf_text(&list->key), part);
        note_problem(walk, failed, strbuf_text(&walk->path));
    }
}

/** Whether the name is an object; then walk->st and walk->path are its. */
static bool look(struct walk *walk, const char *name)
{
    struct file_list *list = walk->list;
    int dir = dir_fd(walk, list->depth - 1);

    strbuf_reset(&walk->path);
    strbuf_puts(&walk->path, strbuf_text(&list->key));
    strbuf_puts(&walk->path, name);
    if (dir < 0 || fstatat(dir, name, &walk->st, AT_SYMLINK_NOFOLLOW) != 0) {
        if (!vanished(errno)) {
            note_problem(walk, errno, strbuf_text(&walk->path));
        }
        return false;
    }
    if (S_ISLNK(walk->st.st_mode)) {
        int fd = file_path_open(walk->root, strbuf_text(&walk->path), O_PATH);
        bool found = fd >= 0 && fstat(fd, &walk->st) == 0;

        if (fd >= 0) {
            close(fd);
        }
        return found && S_ISREG(walk->st.st_mode);
    }
    return S_ISREG(walk->st.st_mode);
}

/** All names of this window are done: the next window, or the directory above. */
static void turn(struct walk *walk)
{
    struct file_list *list = walk->list;
    struct list_dir *top = &list->dirs[list->depth - 1];

    if (top->names.windowed) {
        scoped(free) char *last = str_dup(file_names_at(&top->names, top->names.count - 1));
        int dir = dir_fd(walk, list->depth - 1);
        int failed = dir < 0 || lseek(dir, 0, SEEK_SET) != 0 ? errno : load(list, last, false);

        if (failed == 0) {
            return;
        }
        if (!vanished(failed)) {
            note_problem(walk, failed, strbuf_text(&list->key));
        }
    }
    pop(list);
}

/** Move to the next object; false at the end. It stays the next one until it is consumed. */
static bool find(struct walk *walk, const char *after)
{
    struct file_list *list = walk->list;

    while (list->depth > 0) {
        struct list_dir *top = &list->dirs[list->depth - 1];

        if (top->next >= top->names.count) {
            turn(walk);
            continue;
        }
        const char *name = file_names_at(&top->names, top->next);

        if (str_ends(name, "/")) {
            enter(walk, name, after);
        } else if (look(walk, name)) {
            return true;
        } else {
            top->next++;
        }
    }
    return false;
}

static void add_object(struct walk *walk)
{
    struct file_list_page *page = walk->page;
    char etag[FILE_ETAG];

    file_path_etag(&walk->st, etag);
    page->objects[page->count++] = (struct store_object){
        .key = arena_dup(page->strings, strbuf_text(&walk->path)),
        .size = (uint64_t)walk->st.st_size,
        .etag = arena_dup(page->strings, etag),
        .version = "",
        .modified_ms = file_path_mtime_ms(&walk->st),
    };
}

static void close_all(struct file_list *list)
{
    for (unsigned i = 0; i < list->depth; i++) {
        if (list->dirs[i].fd >= 0) {
            close(list->dirs[i].fd);
            list->dirs[i].fd = -1;
        }
    }
}

bool file_list_goes_on(const struct file_list *list, const char *prefix, const char *after)
{
    return list->depth > 0 && list->last != NULL && strcmp(list->prefix, prefix) == 0 &&
           strcmp(list->last, after) == 0;
}

enum rc file_list_page(struct file_list *list, int root, const char *prefix, const char *after,
                       unsigned max, struct file_list_page *ret_page, struct err *err)
{
    struct file_list_page page = {
        .objects = mem_zeroed(max * sizeof(struct store_object)),
        .strings = arena_new(),
    };
    struct walk walk = {.list = list, .root = root, .page = &page};
    int failed =
        file_list_goes_on(list, prefix, after) && fresh(&walk) ? 0 : start(&walk, prefix, after);

    if (failed != 0) {
        file_list_page_done(&page);
        return file_path_error(err, failed == ENOENT ? EIO : failed, "list", prefix);
    }
    while (find(&walk, after)) {
        if (page.count == max) {
            page.more = true;
            break;
        }
        add_object(&walk);
        list->dirs[list->depth - 1].next++;
    }
    close_all(list);
    free(list->last);
    list->last = page.count > 0 ? str_dup(page.objects[page.count - 1].key) : NULL;
    strbuf_done(&walk.path);
    *ret_page = page;
    return RC_OK;
}
