/** @file
 * The names of one directory, sorted as they appear in keys.
 */
#include "lib/store/file_names.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/base/scope.h"
#include "lib/base/str.h"

#define READ_BYTES (256u << 10)
#define WINDOW_NAMES_MIN 16 /**< However small the window, a directory can be walked. */

static int by_name(const void *a, const void *b, void *bytes)
{
    const uint32_t *left = a, *right = b;

    return strcmp((char *)bytes + *left, (char *)bytes + *right);
}

static void sort(struct file_names *names)
{
    if (names->count > 1) {
        qsort_r(names->order, names->count, sizeof(names->order[0]), by_name, names->bytes);
    }
}

/** Sort, keep the lower half, pack it. */
static int halve(struct file_names *names)
{
    size_t keep = names->count / 2, len = 0;
    char *packed = mem_try(1, names->cap);

    if (packed == NULL) {
        return ENOMEM;
    }
    sort(names);
    for (size_t i = 0; i < keep; i++) {
        size_t size = strlen(file_names_at(names, i)) + 1;

        memcpy(packed + len, file_names_at(names, i), size);
        names->order[i] = (uint32_t)len;
        len += size;
    }
    free(names->bytes);
    names->bytes = packed;
    names->len = len;
    names->count = keep;
    names->windowed = true;
    return 0;
}

static int reserve(struct file_names *names, size_t size)
{
    if (names->len + size > names->cap) {
        size_t cap = MAX_OF(names->cap * 2, (size_t)4096);
        char *grown = realloc(names->bytes, cap);

        if (grown == NULL) {
            return ENOMEM;
        }
        names->bytes = grown;
        names->cap = cap;
    }
    if (names->count == names->order_cap) {
        size_t cap = MAX_OF(names->order_cap * 2, (size_t)128);
        uint32_t *grown = realloc(names->order, cap * sizeof(*grown));

        if (grown == NULL) {
            return ENOMEM;
        }
        names->order = grown;
        names->order_cap = cap;
    }
    return 0;
}

static int add(struct file_names *names, const char *name, size_t len)
{
    int failed = reserve(names, len + 1);

    if (failed == 0) {
        memcpy(names->bytes + names->len, name, len + 1);
        names->order[names->count++] = (uint32_t)names->len;
        names->len += len + 1;
    }
    return failed;
}

static unsigned char type_of(int fd, const struct dirent *entry)
{
    struct stat st;

    if (entry->d_type != DT_UNKNOWN) {
        return entry->d_type;
    }
    return fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 ? IFTODT(st.st_mode)
                                                                     : DT_UNKNOWN;
}

static bool wanted(const char *name, bool is_dir, const struct file_names_filter *filter)
{
    return str_starts(name, filter->prefix) &&
           (strcmp(name, filter->after) > 0 ||
            (filter->into && is_dir && str_starts(filter->after, name)));
}

/** `bound` is the greatest name that the window still holds, once names were dropped: what is kept
 * is at every moment all that was read up to there. */
static int take(struct file_names *names, int fd, const struct dirent *entry,
                const struct file_names_filter *filter, struct strbuf *bound)
{
    char name[sizeof(entry->d_name) + 1];
    size_t len = strlen(entry->d_name);
    unsigned char type = entry->d_name[0] == '.' ? DT_UNKNOWN : type_of(fd, entry);

    if ((type != DT_DIR && type != DT_REG && type != DT_LNK) || len >= filter->name_max ||
        len >= sizeof(entry->d_name)) {
        return 0;
    }
    memcpy(name, entry->d_name, len);
    if (type == DT_DIR) {
        name[len++] = '/';
    }
    name[len] = '\0';
    if (!wanted(name, type == DT_DIR, filter)) {
        return 0;
    }
    if (names->len + names->count * sizeof(names->order[0]) >= filter->window_bytes &&
        names->count >= WINDOW_NAMES_MIN) {
        int failed = halve(names);

        if (failed != 0) {
            return failed;
        }
        strbuf_reset(bound);
        strbuf_puts(bound, file_names_at(names, names->count - 1));
    }
    return names->windowed && strcmp(name, strbuf_text(bound)) > 0 ? 0 : add(names, name, len);
}

int file_names_read(struct file_names *names, int fd, const struct file_names_filter *filter)
{
    scoped(strbuf_done) struct strbuf bound = {0};
    scoped(free) char *buffer = mem_try(1, READ_BYTES);
    int failed = buffer == NULL ? ENOMEM : 0;

    names->len = names->count = 0;
    names->windowed = false;
    while (failed == 0) {
        ssize_t n = getdents64(fd, buffer, READ_BYTES);

        if (n < 0) {
            failed = errno;
        }
        if (n <= 0) {
            break;
        }
        for (ssize_t at = 0; at < n && failed == 0;) {
            const struct dirent *entry = (const void *)(buffer + at);

            failed = take(names, fd, entry, filter, &bound);
            at += entry->d_reclen;
        }
    }
    sort(names);
    return failed;
}

void file_names_done(struct file_names *names)
{
    free(names->bytes);
    free(names->order);
    *names = (struct file_names){0};
}
