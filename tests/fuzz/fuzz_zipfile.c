/** @file
 * An archive that is opened has entries inside of it, and reading each stays inside its range.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/data/zipfile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds) {
        abort();
    }
}

/** A block of the very size, so that a read behind its end is seen. */
static void read_entry(const struct zipfile_entry *entry, const uint8_t *data, size_t size)
{
    const size_t len = (size_t)(entry->to - entry->from);
    scoped(free) uint8_t *range = NULL;
    const uint8_t *content;
    uint8_t sum = 0;
    struct err err;

    must(entry->from <= entry->to && entry->to <= size && entry->name[0] != '\0');
    range = malloc(len > 0 ? len : 1);
    memcpy(range, data + entry->from, len);
    if (zipfile_content(entry, range, &content, &err) == RC_OK) {
        must(content >= range && entry->size <= len);
        for (uint64_t i = 0; i < entry->size; i++) {
            sum ^= content[i];
        }
    } else {
        must(err.text[0] != '\0');
    }
    (void)sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const size_t tail = zipfile_tail_bytes(size);
    scoped(zipfile_free) struct zipfile *zipfile = NULL;
    struct zipfile_place place;
    struct err err;

    if (zipfile_locate(data + size - tail, tail, size, &place, &err) != RC_OK ||
        zipfile_open(data + place.offset, &place, &zipfile, &err) != RC_OK) {
        must(err.text[0] != '\0');
        return 0;
    }
    for (size_t i = 0; i < zipfile->count && i < 100; i++) {
        read_entry(&zipfile->entries[i], data, size);
    }
    return 0;
}
