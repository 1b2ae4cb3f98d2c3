/** @file
 * A file store's keys in byte order, a page at a time.
 *
 * A directory's names have to be sorted, so they are held in memory while the listing is inside it:
 * packed, and a window of the smallest ones where they are more than FILE_LIST_BYTES. The cursor
 * stays between pages, so that a huge directory is read once and not once a page. A directory that
 * changed meanwhile is read again, a huge one not more often than its reading is worth: what is put
 * into it during a listing may be missed by that listing, never what was there before.
 *
 * Links are not followed into directories; a link to a file inside the store is an object. Names
 * longer than the kernel's PATH_MAX from the root are no objects: nothing could open them.
 *
 * Thread:     one at a time; every call blocks. No descriptors are held between pages.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/arena.h"
#include "lib/base/rc.h"
#include "lib/base/scope.h"
#include "lib/store/store.h"

#define FILE_LIST_BYTES (48u << 20)

struct file_list;

struct file_list_page {
    struct store_object *objects;
    unsigned count;
    bool more;
    bool partial; /**< Something could not be read: `problem` says what was first. */
    struct err problem;
    struct arena *strings; /**< Of the objects. */
};

struct file_list *file_list_new(void);
void file_list_free(struct file_list *list);
SCOPED_FN(struct file_list, file_list_free)
/** Whether that is where the last page ended. */
bool file_list_goes_on(const struct file_list *list, const char *prefix, const char *after);
/** Goes on where the last page ended if `prefix` and `after` say so, else starts anew. */
enum rc file_list_page(struct file_list *list, int root, const char *prefix, const char *after,
                       unsigned max, struct file_list_page *ret_page, struct err *err);
void file_list_page_done(struct file_list_page *page);
/** What the cursor holds. */
size_t file_list_bytes(const struct file_list *list);
/** Tests only: a smaller window than FILE_LIST_BYTES. */
void file_list_set_window(struct file_list *list, size_t bytes);
