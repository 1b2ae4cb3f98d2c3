/** @file
 * ZIP as PKWARE's APPNOTE has it; numbers are little endian.
 *
 * A member is a header and its bytes. The directory at the end repeats the headers with the places.
 * Behind it, only where needed, ZIP64's record and its locator; then the end record.
 */
#include "lib/data/zipfile.h"

#include <inttypes.h>
#include <libdeflate.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"

#define LOCAL 0x04034b50u
#define CENTRAL 0x02014b50u
#define END64 0x06064b50u
#define LOCATOR64 0x07064b50u
#define END 0x06054b50u

#define LOCAL_BYTES 30
#define CENTRAL_BYTES 46
#define END64_BYTES 56
#define LOCATOR64_BYTES 20
#define END_BYTES 22
#define COMMENT_MAX 65535

#define EXTRA64 1
#define UNIX 3
#define VERSION 20
#define VERSION64 45
#define FLAG_ENCRYPTED 0x0001u
#define FLAG_UTF8 0x0800u
#define DATE_1980 0x0021u
#define MODE (0100644u << 16)

/* ---- writing ------------------------------------------------------------------------------- */

static void put(struct strbuf *out, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) {
        strbuf_putc(out, (char)(value >> (8 * i)));
    }
}

static uint64_t at_most(uint64_t value, uint64_t limit)
{
    return value < limit ? value : limit;
}

static bool is_ascii(const char *text)
{
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text >= 0x80) {
            return false;
        }
    }
    return true;
}

/** What both headers of a member have in common, from the version on. */
static void put_member(struct strbuf *out, const char *name, uint32_t crc, uint64_t size, bool big,
                       unsigned extra)
{
    put(out, big ? VERSION64 : VERSION, 2);
    put(out, is_ascii(name) ? 0 : FLAG_UTF8, 2);
    put(out, 0, 2); /* stored */
    put(out, 0, 2); /* midnight */
    put(out, DATE_1980, 2);
    put(out, crc, 4);
    put(out, at_most(size, UINT32_MAX), 4);
    put(out, at_most(size, UINT32_MAX), 4);
    put(out, strlen(name), 2);
    put(out, extra, 2);
}

void zipfile_begin(struct zipfile_writer *writer, struct strbuf *out)
{
    *writer = (struct zipfile_writer){.out = out};
}

static void add_central(struct zipfile_writer *writer, const char *name, uint32_t crc,
                        uint64_t size)
{
    struct strbuf *out = &writer->directory;
    const bool big = size >= UINT32_MAX, far = writer->at >= UINT32_MAX;
    const unsigned extra = (big ? 16 : 0) + (far ? 8 : 0);

    put(out, CENTRAL, 4);
    put(out, UNIX << 8 | (big || far ? VERSION64 : VERSION), 2);
    put_member(out, name, crc, size, big || far, extra > 0 ? 4 + extra : 0);
    put(out, 0, 2); /* no comment */
    put(out, 0, 2); /* first disk */
    put(out, 0, 2); /* no text */
    put(out, MODE, 4);
    put(out, at_most(writer->at, UINT32_MAX), 4);
    strbuf_puts(out, name);
    if (extra > 0) {
        put(out, EXTRA64, 2);
        put(out, extra, 2);
    }
    if (big) {
        put(out, size, 8);
        put(out, size, 8);
    }
    if (far) {
        put(out, writer->at, 8);
    }
}

void zipfile_add(struct zipfile_writer *writer, const char *name, const void *bytes, size_t len)
{
    struct strbuf *out = writer->out;
    const bool big = len >= UINT32_MAX;
    const uint32_t crc = len > 0 ? libdeflate_crc32(0, bytes, len) : 0;
    const size_t before = out->len;

    add_central(writer, name, crc, len);
    put(out, LOCAL, 4);
    put_member(out, name, crc, len, big, big ? 20 : 0);
    strbuf_puts(out, name);
    if (big) {
        put(out, EXTRA64, 2);
        put(out, 16, 2);
        put(out, len, 8);
        put(out, len, 8);
    }
    if (len > 0) {
        strbuf_add(out, bytes, len);
    }
    writer->at += out->len - before;
    writer->count++;
}

static void put_end64(struct strbuf *out, uint64_t at, uint64_t size, uint64_t count)
{
    put(out, END64, 4);
    put(out, END64_BYTES - 12, 8);
    put(out, UNIX << 8 | VERSION64, 2);
    put(out, VERSION64, 2);
    put(out, 0, 4);
    put(out, 0, 4);
    put(out, count, 8);
    put(out, count, 8);
    put(out, size, 8);
    put(out, at, 8);
    put(out, LOCATOR64, 4);
    put(out, 0, 4);
    put(out, at + size, 8);
    put(out, 1, 4);
}

void zipfile_end(struct zipfile_writer *writer)
{
    struct strbuf *out = writer->out;
    const uint64_t at = writer->at, size = writer->directory.len, count = writer->count;

    if (size > 0) {
        strbuf_add(out, writer->directory.data, writer->directory.len);
    }
    if (at >= UINT32_MAX || size >= UINT32_MAX || count >= UINT16_MAX) {
        put_end64(out, at, size, count);
    }
    put(out, END, 4);
    put(out, 0, 4);
    put(out, at_most(count, UINT16_MAX), 2);
    put(out, at_most(count, UINT16_MAX), 2);
    put(out, at_most(size, UINT32_MAX), 4);
    put(out, at_most(at, UINT32_MAX), 4);
    put(out, 0, 2);
    zipfile_writer_done(writer);
}

void zipfile_writer_done(struct zipfile_writer *writer)
{
    strbuf_done(&writer->directory);
    *writer = (struct zipfile_writer){0};
}

/* ---- reading ------------------------------------------------------------------------------- */

static uint64_t get(const uint8_t *bytes, unsigned count)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < count; i++) {
        value |= (uint64_t)bytes[i] << (8 * i);
    }
    return value;
}

size_t zipfile_tail_bytes(uint64_t file_size)
{
    return (size_t)at_most(file_size, END_BYTES + COMMENT_MAX + LOCATOR64_BYTES + END64_BYTES);
}

/** The end record: the last one whose comment reaches exactly to the end. */
static const uint8_t *find_end(const uint8_t *tail, size_t len)
{
    for (size_t back = END_BYTES; back <= len && back <= END_BYTES + COMMENT_MAX; back++) {
        const uint8_t *end = tail + len - back;

        if (get(end, 4) == END && get(end + 20, 2) == back - END_BYTES) {
            return end;
        }
    }
    return NULL;
}

static enum rc corrupt(struct err *err, const char *what)
{
    return err_set(err, RC_CORRUPT, "ZIP archive: %s", what);
}

/** Where ZIP64's record says something, it is what holds. */
static enum rc read_end64(const uint8_t *tail, const uint8_t *end, uint64_t tail_at,
                          struct zipfile_place *place, uint64_t *ret_limit, struct err *err)
{
    const uint8_t *locator = end - LOCATOR64_BYTES, *record;
    uint64_t at;

    if ((size_t)(end - tail) < LOCATOR64_BYTES || get(locator, 4) != LOCATOR64) {
        return RC_OK;
    }
    at = get(locator + 8, 8);
    if (at < tail_at || at - tail_at > (uint64_t)(locator - tail) ||
        (uint64_t)(locator - tail) - (at - tail_at) < END64_BYTES) {
        return corrupt(err, "its ZIP64 record is not before its end");
    }
    record = tail + (at - tail_at);
    if (get(record, 4) != END64) {
        return corrupt(err, "its ZIP64 record is none");
    }
    place->count = get(record + 32, 8);
    place->size = get(record + 40, 8);
    place->offset = get(record + 48, 8);
    *ret_limit = at;
    return RC_OK;
}

enum rc zipfile_locate(const uint8_t *tail, size_t len, uint64_t file_size,
                       struct zipfile_place *ret_place, struct err *err)
{
    const uint64_t tail_at = file_size - len;
    const uint8_t *end = find_end(tail, len);
    struct zipfile_place place;
    uint64_t limit;

    if (end == NULL) {
        return err_set(err, RC_INVALID, "not a ZIP archive");
    }
    place = (struct zipfile_place){
        .count = get(end + 10, 2), .size = get(end + 12, 4), .offset = get(end + 16, 4)};
    limit = tail_at + (uint64_t)(end - tail);
    if (read_end64(tail, end, tail_at, &place, &limit, err) != RC_OK) {
        return err->rc;
    }
    if (place.offset > limit || place.size > limit - place.offset ||
        place.count > place.size / CENTRAL_BYTES) {
        return corrupt(err, "its directory lies outside of it");
    }
    if (place.size > ZIPFILE_DIRECTORY_MAX) {
        return err_set(err, RC_UNSUPPORTED, "ZIP archive: a directory of %" PRIu64 " bytes",
                       place.size);
    }
    *ret_place = place;
    return RC_OK;
}

/** The numbers that did not fit their fields, in their order. */
static bool read_extra64(const uint8_t *extra, size_t len, uint64_t *size, uint64_t *packed,
                         uint64_t *from)
{
    uint64_t *const numbers[] = {size, packed, from};

    while (len >= 4) {
        size_t field = (size_t)get(extra + 2, 2);

        if (field > len - 4) {
            return false;
        }
        if (get(extra, 2) == EXTRA64) {
            extra += 4;
            for (unsigned i = 0; i < ARRAY_LEN(numbers); i++) {
                if (*numbers[i] == UINT32_MAX && field < 8) {
                    return false;
                }
                if (*numbers[i] == UINT32_MAX) {
                    *numbers[i] = get(extra, 8);
                    extra += 8;
                    field -= 8;
                }
            }
            return true;
        }
        extra += 4 + field;
        len -= 4 + field;
    }
    return true;
}

/** One header of the directory; returns its length, 0 when it makes no sense. */
static size_t read_entry(const uint8_t *bytes, size_t len, const struct zipfile_place *place,
                         struct zipfile_entry *ret_entry)
{
    size_t name_len, extra_len, whole;
    uint64_t size, packed, from;

    if (len < CENTRAL_BYTES || get(bytes, 4) != CENTRAL) {
        return 0;
    }
    name_len = (size_t)get(bytes + 28, 2);
    extra_len = (size_t)get(bytes + 30, 2);
    whole = CENTRAL_BYTES + name_len + extra_len + (size_t)get(bytes + 32, 2);
    packed = get(bytes + 20, 4);
    size = get(bytes + 24, 4);
    from = get(bytes + 42, 4);
    if (whole > len || name_len == 0 || name_len > ZIPFILE_NAME_MAX ||
        memchr(bytes + CENTRAL_BYTES, '\0', name_len) != NULL ||
        !read_extra64(bytes + CENTRAL_BYTES + name_len, extra_len, &size, &packed, &from)) {
        return 0;
    }
    if (from > place->offset || packed > place->offset - from ||
        place->offset - from - packed < LOCAL_BYTES + name_len) {
        return 0;
    }
    *ret_entry = (struct zipfile_entry){
        .name = str_dup_n((const char *)bytes + CENTRAL_BYTES, name_len),
        .size = size,
        .from = from,
        .crc = (uint32_t)get(bytes + 16, 4),
        .stored =
            get(bytes + 10, 2) == 0 && (get(bytes + 8, 2) & FLAG_ENCRYPTED) == 0 && packed == size,
    };
    return whole;
}

static int compare_places(const void *a, const void *b)
{
    const struct zipfile_entry *x = *(const struct zipfile_entry *const *)a;
    const struct zipfile_entry *y = *(const struct zipfile_entry *const *)b;

    return (x->from > y->from) - (x->from < y->from);
}

/** What lies between a member's header and the next one's is the member. */
static void find_ends(struct zipfile *zipfile, uint64_t directory_at)
{
    scoped(free) struct zipfile_entry **sorted =
        mem_resize(NULL, zipfile->count + 1, sizeof(struct zipfile_entry *));

    for (size_t i = 0; i < zipfile->count; i++) {
        sorted[i] = &zipfile->entries[i];
    }
    qsort(sorted, zipfile->count, sizeof(struct zipfile_entry *), compare_places);
    for (size_t i = 0; i < zipfile->count; i++) {
        sorted[i]->to = i + 1 < zipfile->count ? sorted[i + 1]->from : directory_at;
    }
}

enum rc zipfile_open(const uint8_t *bytes, const struct zipfile_place *place,
                     struct zipfile **ret_zipfile, struct err *err)
{
    scoped(zipfile_free) struct zipfile *zipfile = mem_new(struct zipfile);
    size_t at = 0;

    zipfile->entries = mem_zeroed((size_t)place->count * sizeof(*zipfile->entries) + 1);
    for (uint64_t i = 0; i < place->count; i++) {
        size_t whole = read_entry(bytes + at, (size_t)place->size - at, place,
                                  &zipfile->entries[zipfile->count]);

        if (whole == 0) {
            return err_set(err, RC_CORRUPT,
                           "ZIP archive: entry %" PRIu64 " of its directory makes no sense", i);
        }
        zipfile->count++;
        at += whole;
    }
    find_ends(zipfile, place->offset);
    *ret_zipfile = TAKE(zipfile);
    return RC_OK;
}

void zipfile_free(struct zipfile *zipfile)
{
    if (zipfile == NULL) {
        return;
    }
    for (size_t i = 0; i < zipfile->count; i++) {
        free(zipfile->entries[i].name);
    }
    free(zipfile->entries);
    free(zipfile);
}

const struct zipfile_entry *zipfile_find(const struct zipfile *zipfile, const char *name)
{
    for (size_t i = 0; i < zipfile->count; i++) {
        if (strcmp(zipfile->entries[i].name, name) == 0) {
            return &zipfile->entries[i];
        }
    }
    return NULL;
}

enum rc zipfile_content(const struct zipfile_entry *entry, const uint8_t *bytes,
                        const uint8_t **ret_content, struct err *err)
{
    const uint64_t len = entry->to - entry->from;
    uint64_t head;

    if (!entry->stored) {
        return err_set(err, RC_UNSUPPORTED, "ZIP archive: '%.80s' is not stored but compressed",
                       entry->name);
    }
    if (len < LOCAL_BYTES || get(bytes, 4) != LOCAL) {
        return err_set(err, RC_CORRUPT, "ZIP archive: '%.80s' is not where it should be",
                       entry->name);
    }
    head = LOCAL_BYTES + get(bytes + 26, 2) + get(bytes + 28, 2);
    if (head > len || entry->size > len - head) {
        return err_set(err, RC_CORRUPT, "ZIP archive: '%.80s' reaches into what follows",
                       entry->name);
    }
    if ((entry->size > 0 ? libdeflate_crc32(0, bytes + head, (size_t)entry->size) : 0) !=
        entry->crc) {
        return err_set(err, RC_CORRUPT, "ZIP archive: '%.80s' fails its checksum", entry->name);
    }
    *ret_content = bytes + head;
    return RC_OK;
}
