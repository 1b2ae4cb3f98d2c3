/** @file
 * ZIP archives of stored (not compressed) members: made in one go, read by ranges. Pure: bytes in,
 * bytes out.
 *
 * The same members give the same bytes: times are those of 1980-01-01, the earliest that ZIP knows.
 * ZIP64 where a number does not fit otherwise, and only there.
 *
 * To read one member of an archive that lies in a store takes two or three ranges:
 *
 *     zipfile_tail_bytes() from the end -> zipfile_locate()    where the directory lies
 *     the directory (often in the tail) -> zipfile_open()      names, sizes, places
 *     [entry->from, entry->to)          -> zipfile_content()   the member, its checksum verified
 *
 * Thread:     any.
 * Ownership:  a writer borrows `out`; a `struct zipfile` owns its entries and names.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/rc.h"
#include "lib/base/scope.h"
#include "lib/base/str.h"

#define ZIPFILE_NAME_MAX 1024
#define ZIPFILE_DIRECTORY_MAX (64u << 20)

/* ---- writing ---- */

struct zipfile_writer {
    struct strbuf *out;
    uint64_t at; /**< Bytes of the archive so far; what of them is in `out` is the caller's matter.
                  */
    uint64_t count;
    struct strbuf directory;
};

void zipfile_begin(struct zipfile_writer *writer, struct strbuf *out);
/** `name` is UTF-8, of at most ZIPFILE_NAME_MAX bytes. */
void zipfile_add(struct zipfile_writer *writer, const char *name, const void *bytes, size_t len);
/** Writes the directory; the writer is empty then. */
void zipfile_end(struct zipfile_writer *writer);
void zipfile_writer_done(struct zipfile_writer *writer);

/* ---- reading ---- */

struct zipfile_place {
    uint64_t offset, size; /**< Of the directory. */
    uint64_t count;
};

struct zipfile_entry {
    char *name;
    uint64_t size; /**< Of the member. */
    uint64_t from; /**< Where its header begins; the member follows. */
    uint64_t to;   /**< Where the next thing begins. */
    uint32_t crc;
    bool stored; /**< False: compressed or encrypted; zipfile_content() refuses it. */
};

struct zipfile {
    struct zipfile_entry *entries; /**< In the order of the directory. */
    size_t count;
};

/** How much of the end of a file of that size zipfile_locate() wants. */
size_t zipfile_tail_bytes(uint64_t file_size);
/** RC_INVALID when it is no ZIP archive; RC_CORRUPT when it contradicts itself. */
enum rc zipfile_locate(const uint8_t *tail, size_t len, uint64_t file_size,
                       struct zipfile_place *ret_place, struct err *err);
/** `bytes` are the `place->size` of the directory. */
enum rc zipfile_open(const uint8_t *bytes, const struct zipfile_place *place,
                     struct zipfile **ret_zipfile, struct err *err);
void zipfile_free(struct zipfile *zipfile);
SCOPED_FN(struct zipfile, zipfile_free)
/** NULL when there is none of that name. */
const struct zipfile_entry *zipfile_find(const struct zipfile *zipfile, const char *name);
/** `bytes` are what lies from entry->from to entry->to; the member is in them. RC_UNSUPPORTED when
 * it is not stored, RC_CORRUPT when its header or its checksum says something else. */
enum rc zipfile_content(const struct zipfile_entry *entry, const uint8_t *bytes,
                        const uint8_t **ret_content, struct err *err);
