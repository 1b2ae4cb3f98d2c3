/** @file
 * The order of questions: HDF5's signature, then the name's promise, then what the text looks like.
 */
#include "daemon/crawl/classify.h"

#include <ctype.h>
#include <stdlib.h>
#include <strings.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/data/csv.h"

static const uint8_t hdf5_signature[8] = {0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n'};

/** The superblock may lie at 0, 512, 1024, 2048, …: what is in front is the user's. */
static bool has_hdf5_signature(const uint8_t *head, size_t len)
{
    for (size_t at = 0; at + sizeof(hdf5_signature) <= len; at = at == 0 ? 512 : at * 2) {
        if (memcmp(head + at, hdf5_signature, sizeof(hdf5_signature)) == 0) {
            return true;
        }
    }
    return false;
}

static bool ends_with_any(const char *key, const char *const *endings, unsigned count)
{
    size_t len = strlen(key);

    for (unsigned i = 0; i < count; i++) {
        size_t n = strlen(endings[i]);

        if (n <= len && strcasecmp(key + len - n, endings[i]) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_named_hdf5(const char *key)
{
    static const char *const endings[] = {".h5", ".hdf5", ".hdf", ".he5", ".nc4"};

    return ends_with_any(key, endings, ARRAY_LEN(endings));
}

static bool is_named_csv(const char *key)
{
    static const char *const endings[] = {".csv", ".tsv", ".psv", ".csv.gz", ".tsv.gz", ".psv.gz"};

    return ends_with_any(key, endings, ARRAY_LEN(endings));
}

/** Names that promise nothing, or only text: the content may still be a table. */
static bool may_be_table(const char *key)
{
    static const char *const endings[] = {".txt", ".dat", ".data", ".asc", ".txt.gz"};
    const char *base = str_basename(key);

    return strchr(base, '.') == NULL || ends_with_any(base, endings, ARRAY_LEN(endings));
}

static bool is_gzip(const uint8_t *head, size_t len)
{
    return len >= 3 && head[0] == 0x1f && head[1] == 0x8b && head[2] == 8;
}

static bool is_utf16(const uint8_t *head, size_t len)
{
    return len >= 2 &&
           ((head[0] == 0xff && head[1] == 0xfe) || (head[0] == 0xfe && head[1] == 0xff));
}

/** Text has line ends and tabs, but no other control characters worth the name. */
static bool is_binary(const uint8_t *head, size_t len)
{
    size_t odd = 0;

    for (size_t i = 0; i < len; i++) {
        if (head[i] == '\0') {
            return true;
        }
        odd += (head[i] < 0x20 && strchr("\t\r\n\f\v", head[i]) == NULL) || head[i] == 0x7f;
    }
    return odd > len / 100;
}

/** How often `delimiter` stands in the line outside quotes. */
static unsigned count_fields(const char *line, size_t len, char delimiter)
{
    unsigned count = 1;
    bool quoted = false;

    for (size_t i = 0; i < len; i++) {
        quoted ^= line[i] == '"';
        count += !quoted && line[i] == delimiter;
    }
    return count;
}

/** A table without a name that says so: the first two lines have as many fields, at least two. */
static bool looks_like_table(const char *head, size_t len, bool whole)
{
    char delimiter = csv_detect_delimiter(head, len, whole);
    const char *end = memchr(head, '\n', len);
    const char *second;
    size_t first_len = end != NULL ? (size_t)(end - head) : len;
    unsigned fields = count_fields(head, first_len, delimiter);

    if (fields < 2 || end == NULL) {
        return false;
    }
    second = end + 1;
    len -= first_len + 1;
    end = memchr(second, '\n', len);
    if (end == NULL && !whole) {
        return false;
    }
    return count_fields(second, end != NULL ? (size_t)(end - second) : len, delimiter) == fields;
}

enum rc classify(const char *key, const void *head, size_t len, bool whole,
                 enum classify *ret_class, struct err *err)
{
    const char *base = str_basename(key);

    if (has_hdf5_signature(head, len)) {
        *ret_class = CLASSIFY_HDF5;
        return RC_OK;
    }
    if (is_named_hdf5(key) && !whole) { /* a user block may be longer: the helper looks further */
        *ret_class = CLASSIFY_HDF5;
        return RC_OK;
    }
    if (is_named_hdf5(key)) {
        return err_set(
            err, RC_CORRUPT,
            len == 0 ? "'%s' is empty" : "'%s' has no HDF5 signature: it is no HDF5 file", base);
    }
    if (is_gzip(head, len)) {
        *ret_class = is_named_csv(key) || ends_with_any(key, (const char *[]){".txt.gz"}, 1)
                         ? CLASSIFY_CSV
                         : CLASSIFY_OTHER;
        return RC_OK;
    }
    if (len == 0) {
        *ret_class = CLASSIFY_OTHER;
        return RC_OK;
    }
    if (is_named_csv(key)) {
        if (is_binary(head, len) && !is_utf16(head, len)) { /* the reader knows what to say of it */
            return err_set(err, RC_INVALID, "'%s' holds binary data, not text", base);
        }
        *ret_class = CLASSIFY_CSV;
        return RC_OK;
    }
    *ret_class = may_be_table(key) && !is_binary(head, len) && looks_like_table(head, len, whole)
                     ? CLASSIFY_CSV
                     : CLASSIFY_OTHER;
    return RC_OK;
}

/** "S797364", "R18032505027684". */
static bool is_event_id(const char *name)
{
    size_t digits = strspn(name + (name[0] != '\0'), "0123456789");

    return (name[0] == 'S' || name[0] == 'R') && digits >= 4 && name[1 + digits] == '\0';
}

unsigned classify_layout(const struct layout *layout)
{
    unsigned types = 0;

    for (uint32_t i = 0; i < layout->dataset_count; i++) {
        const struct layout_dataset *dataset = &layout->datasets[i];
        enum sevir_type type;

        if (sevir_type_parse(dataset->name, &type) && type != SEVIR_LGHT && dataset->rank == 4) {
            types |= 1u << type;
        } else if (dataset->rank == 2 && dataset->dims[1] == 5 && is_event_id(dataset->name)) {
            types |= 1u << SEVIR_LGHT;
        }
    }
    return types;
}

/* ---- partitions ----------------------------------------------------------------------------- */

/** A part "name=value" of a path, with a name that can be a column's. */
static bool is_hive_part(const char *part, size_t len)
{
    const char *equals = memchr(part, '=', len);

    if (equals == NULL || equals == part || equals + 1 == part + len) {
        return false;
    }
    for (const char *p = part; p < equals; p++) {
        if (!isalnum((unsigned char)*p) && *p != '_') {
            return false;
        }
    }
    return true;
}

static void add_pair(struct classify_partition *partition, const char *name, size_t name_len,
                     const char *value, size_t value_len)
{
    char *copy;

    if (partition->count == CLASSIFY_KEYS_MAX) {
        return;
    }
    copy = str_dup_n(name, name_len);
    for (char *p = copy; *p != '\0'; p++) {
        *p = (char)tolower((unsigned char)*p);
    }
    partition->names[partition->count] = copy;
    partition->values[partition->count++] = str_dup_n(value, value_len);
}

static void find_hive_parts(const char *key, struct classify_partition *partition)
{
    const char *part = key;

    for (const char *slash; (slash = strchr(part, '/')) != NULL; part = slash + 1) {
        const char *equals = memchr(part, '=', (size_t)(slash - part));

        if (!is_hive_part(part, (size_t)(slash - part))) {
            continue;
        }
        if (partition->count == 0) {
            partition->folder_len = part > key ? (size_t)(part - key) - 1 : 0;
        }
        partition->partition_len = (size_t)(slash - key);
        add_pair(partition, part, (size_t)(equals - part), equals + 1,
                 (size_t)(slash - equals - 1));
    }
}

static bool is_year(const char *text, size_t len)
{
    return len == 4 && strspn(text, "0123456789") >= 4 &&
           (memcmp(text, "19", 2) == 0 || memcmp(text, "20", 2) == 0);
}

/** "vil/2019/SEVIR_VIL_STORMEVENTS_2019_0101_0630.h5": the folder's year, else the name's. */
static void find_sevir_year(const char *key, struct classify_partition *partition)
{
    const char *base = str_basename(key);

    for (const char *part = key, *slash; (slash = strchr(part, '/')) != NULL; part = slash + 1) {
        if (is_year(part, (size_t)(slash - part))) {
            partition->folder_len = part > key ? (size_t)(part - key) - 1 : 0;
            partition->partition_len = (size_t)(slash - key);
            add_pair(partition, "year", 4, part, 4);
            return;
        }
    }
    for (const char *word = base; word != NULL;) {
        size_t len = strcspn(word, "_.");

        if (is_year(word, len)) {
            add_pair(partition, "year", 4, word, 4);
            return;
        }
        word = word[len] != '\0' ? word + len + 1 : NULL;
    }
}

void classify_partition(const char *key, bool sevir, struct classify_partition *ret_partition)
{
    const char *base = str_basename(key);
    const size_t folder_len = base > key ? (size_t)(base - key) - 1 : 0;

    *ret_partition =
        (struct classify_partition){.folder_len = folder_len, .partition_len = folder_len};
    find_hive_parts(key, ret_partition);
    if (ret_partition->count == 0 && sevir) {
        find_sevir_year(key, ret_partition);
    }
}

void classify_partition_done(struct classify_partition *partition)
{
    for (unsigned i = 0; i < partition->count; i++) {
        free(partition->names[i]);
        free(partition->values[i]);
    }
}

char *classify_partition_values(const struct classify_partition *partition)
{
    struct strbuf values = {0};

    for (unsigned i = 0; i < partition->count; i++) {
        strbuf_printf(&values, "%s%s=%s", i > 0 ? "/" : "", partition->names[i],
                      partition->values[i]);
    }
    return strbuf_take(&values);
}
