/** @file
 * Names and keys. A key that we publish must fit the store: a source's name enters it cut to
 * PART_MAX bytes, with a digest in place of what was cut.
 */
#include "lib/sevir/naming.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/digest.h"
#include "lib/base/mem.h"
#include "lib/base/now.h"
#include "lib/base/str.h"

#define ID_MAX 64
#define PART_MAX 200 /**< Bytes of one part of a key that we derive; file systems stop at 255. */
#define KEY_MAX 1024
#define TABLE_MAX 100
#define RANDOM_ID 15 /**< R, YYMMDDhhmm, four digits more. */

static const char *const type_names[SEVIR_TYPE_COUNT] = {
#define X(name, text) [SEVIR_##name] = text,
    SEVIR_TYPE_MAP(X)
#undef X
};

const char *sevir_type_name(enum sevir_type type)
{
    return type_names[type];
}

bool sevir_type_parse(const char *text, enum sevir_type *ret_type)
{
    for (unsigned type = 0; type < SEVIR_TYPE_COUNT; type++) {
        if (strcmp(text, type_names[type]) == 0) {
            *ret_type = (enum sevir_type)type;
            return true;
        }
    }
    return false;
}

bool naming_file_matches(const char *key, const char *file_name)
{
    size_t key_len = strlen(key), len = strlen(file_name);

    if (len == 0 || len > key_len || strcmp(key + key_len - len, file_name) != 0) {
        return false;
    }
    return len == key_len || key[key_len - len - 1] == '/';
}

bool naming_id_ok(const char *id)
{
    size_t len = strlen(id);

    if (len == 0 || len > ID_MAX || strspn(id, ".") == len) {
        return false;
    }
    for (const char *c = id; *c != '\0'; c++) {
        if (!(*c >= '0' && *c <= '9') && !(*c >= 'A' && *c <= 'Z') && !(*c >= 'a' && *c <= 'z') &&
            strchr("-_.", *c) == NULL) {
            return false;
        }
    }
    return true;
}

static bool is_letter_and_digits(const char *id, char letter)
{
    return id[0] == letter && id[1] != '\0' && id[1 + strspn(id + 1, "0123456789")] == '\0';
}

bool naming_id_is_storm(const char *id)
{
    return is_letter_and_digits(id, 'S');
}

bool naming_id_is_random(const char *id)
{
    return is_letter_and_digits(id, 'R') && strlen(id) == RANDOM_ID;
}

bool naming_id_time(const char *id, int64_t *ret_time_utc)
{
    char text[24];

    if (!naming_id_is_random(id)) {
        return false;
    }
    snprintf(text, sizeof(text), "20%.2s-%.2s-%.2s %.2s:%.2s:00", id + 1, id + 3, id + 5, id + 7,
             id + 9);
    return now_parse_utc(text, ret_time_utc);
}

/** Length without one known extension; never nothing. */
static size_t without_extension(const char *name, size_t len, const char *const *extensions)
{
    for (unsigned i = 0; extensions[i] != NULL; i++) {
        size_t ext = strlen(extensions[i]);
        if (len > ext && strncasecmp(name + len - ext, extensions[i], ext) == 0) {
            return len - ext;
        }
    }
    return len;
}

static size_t stem_length(const char *name)
{
    static const char *const packing[] = {".gz", NULL};
    static const char *const kinds[] = {".h5",  ".hdf5", ".hdf", ".he5", ".nc",
                                        ".csv", ".tsv",  ".txt", NULL};

    return without_extension(name, without_extension(name, strlen(name), packing), kinds);
}

/** A part of a key: as it is, or cut between characters, with the digest of the whole. */
static void add_part(struct strbuf *out, const char *text, size_t len)
{
    char hex[DIGEST_HEX];
    size_t keep = PART_MAX - 17;

    if (len <= PART_MAX) {
        strbuf_add(out, text, len);
        return;
    }
    while (keep > 0 && ((unsigned char)text[keep] & 0xc0) == 0x80) {
        keep--;
    }
    digest_sha256_hex(text, len, hex);
    strbuf_add(out, text, keep);
    strbuf_printf(out, "-%.16s", hex);
}

static void add_stem(struct strbuf *out, const char *source_key)
{
    const char *name = str_basename(source_key);

    add_part(out, name, stem_length(name));
}

static void add_month(struct strbuf *out, int year, int month)
{
    strbuf_printf(out, "year=%04d/month=%02d/", year, month);
}

char *naming_frames_key(enum sevir_type type, int year, int month, const char *source_key)
{
    struct strbuf key = {0};

    strbuf_printf(&key, "frames/img_type=%s/", sevir_type_name(type));
    add_month(&key, year, month);
    add_stem(&key, source_key);
    strbuf_puts(&key, ".csv");
    return strbuf_take(&key);
}

char *naming_flashes_key(int year, int month, const char *source_key)
{
    struct strbuf key = {0};

    strbuf_puts(&key, "flashes/");
    add_month(&key, year, month);
    add_stem(&key, source_key);
    strbuf_puts(&key, ".csv");
    return strbuf_take(&key);
}

char *naming_catalog_key(int year, int month, const char *source_key)
{
    struct strbuf key = {0};

    strbuf_puts(&key, "catalog/");
    add_month(&key, year, month);
    add_stem(&key, source_key);
    strbuf_puts(&key, ".csv");
    return strbuf_take(&key);
}

/** Whether a key and all its parts are within what stores take. */
static bool key_fits(const char *key)
{
    size_t part = 0, len = strlen(key);

    for (size_t i = 0; i < len; i++) {
        part = key[i] == '/' ? 0 : part + 1;
        if (part > 240) {
            return false;
        }
    }
    return len <= KEY_MAX;
}

char *naming_table_key(const char *table, const char *source_key)
{
    static const char *const csv[] = {".csv", NULL};
    static const char *const packing[] = {".gz", NULL};
    const char *name = str_basename(source_key);
    size_t len = without_extension(name, without_extension(name, strlen(name), packing), csv);
    char hex[DIGEST_HEX];
    struct strbuf key = {0};

    /* Folders stay: files of one name in several folders may feed one table. */
    strbuf_printf(&key, "tables/%s/", table);
    strbuf_add(&key, source_key, (size_t)(name - source_key));
    add_part(&key, name, len);
    strbuf_puts(&key, ".csv");
    if (!key_fits(strbuf_text(&key))) {
        digest_sha256_hex(source_key, strlen(source_key), hex);
        strbuf_reset(&key);
        strbuf_printf(&key, "tables/%s/%s.csv", table, hex);
    }
    return strbuf_take(&key);
}

char *naming_manifest_key(const char *source_key)
{
    char hex[DIGEST_HEX];
    struct strbuf key = {0};

    strbuf_printf(&key, "_manifests/%s.json", source_key);
    if (!key_fits(strbuf_text(&key))) {
        digest_sha256_hex(source_key, strlen(source_key), hex);
        strbuf_reset(&key);
        strbuf_printf(&key, "_manifests/%s.json", hex);
    }
    return strbuf_take(&key);
}

char *naming_image_prefix(enum sevir_type type, const char *id, int64_t file_index, unsigned repeat)
{
    struct strbuf key = {0};

    strbuf_printf(&key, "images/img_type=%s/id=%s", sevir_type_name(type), id);
    if (repeat > 0) {
        strbuf_printf(&key, ".%" PRId64, file_index);
    }
    if (repeat > 1) {
        strbuf_printf(&key, ".%u", repeat);
    }
    strbuf_putc(&key, '/');
    return strbuf_take(&key);
}

void naming_frame_file(unsigned frame, char ret_name[16])
{
    snprintf(ret_name, 16, "f%02u.png", frame % 100000000);
}

/* ---- tables -------------------------------------------------------------------------------- */

/** Lower case letters, digits and single '_' between them. */
static char *plain_words(const char *text, size_t len)
{
    struct strbuf out = {0};

    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) {
            strbuf_putc(&out, c);
        } else if (c >= 'A' && c <= 'Z') {
            strbuf_putc(&out, (char)(c - 'A' + 'a'));
        } else if (out.len > 0 && out.data[out.len - 1] != '_') {
            strbuf_putc(&out, '_');
        }
    }
    while (out.len > 0 && out.data[out.len - 1] == '_') {
        out.data[--out.len] = '\0';
    }
    return strbuf_take(&out);
}

/** A date, a count or a revision: "2019", "0630", "d2019", "c20210223", "v1". */
static bool is_a_mark(const char *word)
{
    word += *word == 'd' || *word == 'c' || *word == 'v';
    return *word != '\0' && strspn(word, "0123456789") == strlen(word);
}

/** Cut such words off the end, so that the files of a series share a table. */
static void cut_marks(char *name)
{
    for (;;) {
        char *last = strrchr(name, '_');
        char *word = last != NULL ? last + 1 : name;
        if (!is_a_mark(word)) {
            return;
        }
        *(last != NULL ? last : name) = '\0';
        if (last == NULL) {
            return;
        }
    }
}

/** The nearest folder above that is not a partition ("month=01"). */
static char *folder_name(const char *key, size_t len)
{
    while (len > 0) {
        size_t begin = len;
        while (begin > 0 && key[begin - 1] != '/') {
            begin--;
        }
        if (memchr(key + begin, '=', len - begin) == NULL) {
            char *name = plain_words(key + begin, len - begin);
            cut_marks(name);
            return name;
        }
        len = begin > 0 ? begin - 1 : 0;
    }
    return str_dup("");
}

char *naming_table(const char *source_key)
{
    /* Names that queries know as something else. */
    static const char *const taken[] = {"events",  "frames",  "flashes",
                                        "objects", "outputs", "jobs"};
    const char *base = str_basename(source_key);
    scoped(free) char *name = plain_words(base, stem_length(base));
    bool prefix;

    cut_marks(name);
    if (*name == '\0' && base > source_key) {
        free(name);
        name = folder_name(source_key, (size_t)(base - source_key) - 1);
    }
    if (*name == '\0') {
        free(name);
        name = plain_words(base, stem_length(base));
    }
    if (strlen(name) > TABLE_MAX) {
        name[TABLE_MAX] = '\0';
    }
    prefix = !(name[0] >= 'a' && name[0] <= 'z') || str_starts(name, "sqlite_");
    for (unsigned i = 0; i < ARRAY_LEN(taken); i++) {
        prefix = prefix || strcmp(name, taken[i]) == 0;
    }
    return prefix ? str_printf("t_%s", name) : TAKE(name);
}
