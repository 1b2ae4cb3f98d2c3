/** @file
 * Any CSV is a catalog or an error; a row that is read writes itself so that it reads back the
 * same.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/arena.h"
#include "lib/base/str.h"
#include "lib/sevir/catalog_row.h"
#include "lib/sevir/selection.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct reading {
    struct arena *arena;
    struct catalog_header header;
    bool headed;
    struct strbuf written;
};

static enum rc take(const struct csv_row *row, void *arg, struct err *err)
{
    struct reading *reading = arg;
    struct catalog_row parsed;
    struct selection everything = {0};

    if (!reading->headed) {
        reading->headed = true;
        catalog_row_write_header(&reading->written);
        (void)catalog_header_recognise(row);
        return catalog_header_check(row, &reading->header, err);
    }
    enum rc rc = catalog_row_parse(&reading->header, row, reading->arena, &parsed, err);
    if (rc != RC_OK) {
        return rc;
    }
    if (!selection_matches(&everything, &parsed)) {
        abort();
    }
    catalog_row_write(&parsed, &reading->written);
    return RC_OK;
}

static enum rc read_catalog(const void *bytes, size_t len, struct strbuf *ret_written)
{
    struct reading reading = {.arena = arena_new()};
    struct err err = {0};
    struct csv_reader *reader = csv_reader_new("fuzz", take, &reading);
    enum rc rc = csv_reader_feed(reader, bytes, len, &err);

    if (rc == RC_OK) {
        rc = csv_reader_end(reader, &err);
    }
    csv_reader_free(reader);
    arena_free(reading.arena);
    *ret_written = reading.written;
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct strbuf first, second = {0};

    if (read_catalog(data, size, &first) == RC_OK && first.len > 0) {
        if (read_catalog(first.data, first.len, &second) != RC_OK ||
            strcmp(first.data, second.data) != 0) {
            abort();
        }
    }
    strbuf_done(&first);
    strbuf_done(&second);
    return 0;
}
