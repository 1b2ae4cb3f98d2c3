/** @file
 * Any bytes are rows or an error, and how they are cut into pieces does not matter.
 *
 * The first byte says where the cuts are.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/data/csv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum rc note_row(const struct csv_row *row, void *arg, struct err *err)
{
    struct strbuf *seen = arg;

    (void)err;
    strbuf_printf(seen, "%llu", (unsigned long long)row->line);
    for (unsigned i = 0; i < row->count; i++) {
        if (strlen(row->fields[i]) != row->lens[i]) {
            abort(); /* NUL bytes never come through */
        }
        strbuf_putc(seen, row->quoted[i] ? '"' : '|');
        strbuf_add(seen, row->fields[i], row->lens[i]);
    }
    return RC_OK;
}

static enum rc read_pieces(const uint8_t *data, size_t size, size_t piece, struct strbuf *seen)
{
    struct err err = {0};
    struct csv_reader *reader = csv_reader_new("fuzz", note_row, seen);
    enum rc rc = RC_OK;

    for (size_t at = 0; at < size && rc == RC_OK; at += piece) {
        rc = csv_reader_feed(reader, data + at, MIN_OF(piece, size - at), &err);
    }
    if (rc == RC_OK) {
        rc = csv_reader_end(reader, &err);
    }
    if (rc != RC_OK && (err.rc != rc || err.text[0] == '\0')) {
        abort();
    }
    csv_reader_free(reader);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct strbuf whole = {0}, pieces = {0};

    if (size < 1) {
        return 0;
    }
    enum rc one = read_pieces(data + 1, size - 1, size, &whole);
    enum rc other = read_pieces(data + 1, size - 1, 1u + data[0] % 61, &pieces);
    if (one != other || strcmp(strbuf_text(&whole), strbuf_text(&pieces)) != 0) {
        abort();
    }
    strbuf_done(&whole);
    strbuf_done(&pieces);
    return 0;
}
