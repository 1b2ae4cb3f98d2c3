/** @file
 * CSV reading: inflate, look at the first 64 KiB, then libcsv.
 *
 * libcsv tells neither where a row began nor whether a field was quoted, so it is fed segment by
 * segment: each ends with a delimiter or a line end, hence each completes at most one field.
 */
#include "lib/data/csv.h"

#include <csv.h>
#include <inttypes.h>
#include <string.h>
#include <zlib.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"

#define SAMPLE_BYTES 65536
#define INFLATE_STEP 65536

enum step { SNIFF_GZIP, SAMPLE, ROWS };

struct csv_reader {
    char *name;
    csv_row_fn *on_row;
    void *arg;
    enum step step;
    struct csv_dialect dialect;
    struct err failed; /**< rc is RC_OK while all is well. */

    /* gzip */
    uint8_t head[2];
    size_t head_len;
    z_stream stream;
    bool stream_open, member_done;
    uint64_t packed, inflated; /**< Bytes before and after. */

    struct strbuf sample;

    /* libcsv and the row it is in */
    struct csv_parser parser;
    bool special[256]; /**< Bytes that end a segment. */
    uint64_t line;     /**< Of the next byte. */
    bool after_cr;     /**< The next '\n' belongs to the '\r' before it. */
    bool field_begun, field_quoted, row_begun;
    uint64_t row_line;
    size_t row_bytes;
    bool row_ended;

    struct strbuf text; /**< Fields, each with its NUL. */
    size_t *lens;
    const char **fields;
    bool *quoted;
    unsigned count, room;
};

enum csv_quotes csv_quotes_of(const char *text, size_t len)
{
    return len > 0 && memchr(text, '"', len) != NULL ? CSV_QUOTES_SOME : CSV_QUOTES_NONE;
}

enum csv_quotes csv_quotes_from_flag(int flag)
{
    return flag == 1 ? CSV_QUOTES_SOME : flag == 0 ? CSV_QUOTES_NONE : CSV_QUOTES_UNKNOWN;
}

static int nothing_is_space(unsigned char c)
{
    (void)c;
    return 0;
}

struct csv_reader *csv_reader_new(const char *name, csv_row_fn *on_row, void *arg)
{
    struct csv_reader *reader = mem_new(struct csv_reader);

    reader->name = str_dup(name);
    reader->on_row = on_row;
    reader->arg = arg;
    reader->line = 1;
    reader->dialect.delimiter = ',';
    csv_init(&reader->parser, CSV_STRICT | CSV_STRICT_FINI);
    csv_set_blk_size(&reader->parser, 16384);
    csv_set_space_func(&reader->parser, nothing_is_space);
    return reader;
}

void csv_reader_free(struct csv_reader *reader)
{
    if (reader == NULL) {
        return;
    }
    if (reader->stream_open) {
        inflateEnd(&reader->stream);
    }
    csv_free(&reader->parser);
    strbuf_done(&reader->sample);
    strbuf_done(&reader->text);
    free(reader->lens);
    free(reader->fields);
    free(reader->quoted);
    free(reader->name);
    free(reader);
}

const struct csv_dialect *csv_reader_dialect(const struct csv_reader *reader)
{
    return &reader->dialect;
}

/* ---- rows ---------------------------------------------------------------------------------- */

/** libcsv has completed a field. */
static void on_field(void *bytes, size_t len, void *arg)
{
    struct csv_reader *reader = arg;

    if (reader->count == reader->room) {
        reader->room = reader->room > 0 ? reader->room * 2 : 32;
        reader->lens = mem_resize(reader->lens, reader->room, sizeof(*reader->lens));
        reader->fields = mem_resize(reader->fields, reader->room, sizeof(*reader->fields));
        reader->quoted = mem_resize(reader->quoted, reader->room, sizeof(*reader->quoted));
    }
    strbuf_add(&reader->text, bytes, len);
    strbuf_putc(&reader->text, '\0');
    reader->lens[reader->count] = len;
    reader->quoted[reader->count] = reader->field_quoted;
    reader->count++;
    reader->field_begun = false;
}

static void on_row_end(int c, void *arg)
{
    struct csv_reader *reader = arg;

    (void)c;
    reader->row_ended = true;
}

static enum rc deliver_row(struct csv_reader *reader, struct err *err)
{
    const char *at = reader->text.data;

    for (unsigned i = 0; i < reader->count; i++) {
        reader->fields[i] = at;
        at += reader->lens[i] + 1;
    }
    struct csv_row row = {.line = reader->row_line,
                          .count = reader->count,
                          .fields = reader->fields,
                          .lens = reader->lens,
                          .quoted = reader->quoted};
    enum rc rc = reader->on_row(&row, reader->arg, err);
    strbuf_reset(&reader->text);
    reader->count = 0;
    reader->row_begun = reader->row_ended = reader->field_begun = false;
    reader->row_bytes = 0;
    return rc;
}

static enum rc refuse_syntax(struct csv_reader *reader, struct err *err)
{
    if (csv_error(&reader->parser) != CSV_EPARSE) {
        return err_set(err, RC_LIMIT, "line %" PRIu64 ": no memory for the row", reader->row_line);
    }
    if (reader->field_quoted) {
        return err_set(err, RC_INVALID,
                       "line %" PRIu64 ": text after the closing quote of a field; a quote inside "
                       "a quoted field must be doubled",
                       reader->line);
    }
    return err_set(err, RC_INVALID,
                   "line %" PRIu64 ": a quote inside an unquoted field; quote the field and double "
                   "the quote",
                   reader->line);
}

static void count_lines(struct csv_reader *reader, char c)
{
    if (c == '\n' && reader->after_cr) {
        reader->after_cr = false;
        return;
    }
    reader->after_cr = c == '\r';
    reader->line += c == '\n' || c == '\r';
}

/** A piece that ends with a special byte, or where the bytes at hand end. */
static enum rc parse_segment(struct csv_reader *reader, const char *bytes, size_t len,
                             struct err *err)
{
    char last = bytes[len - 1];

    if (!reader->row_begun) {
        if (last == '\n' || last == '\r') {
            if (len == 1) { /* a blank line, or the end of CR LF */
                count_lines(reader, last);
                return RC_OK;
            }
        }
        reader->row_begun = true;
        reader->row_line = reader->line;
    }
    if (!reader->field_begun) {
        reader->field_begun = true;
        reader->field_quoted = bytes[0] == '"';
    }
    reader->row_bytes += len;
    if (reader->row_bytes > CSV_ROW_MAX) {
        return err_set(err, RC_INVALID,
                       "line %" PRIu64 ": the row is longer than %u bytes; is a quote left open?",
                       reader->row_line, CSV_ROW_MAX);
    }
    if (csv_parse(&reader->parser, bytes, len, on_field, on_row_end, reader) != len) {
        return refuse_syntax(reader, err);
    }
    if (reader->count > CSV_COLUMNS_MAX) {
        return err_set(err, RC_INVALID, "line %" PRIu64 ": more than %u columns", reader->row_line,
                       CSV_COLUMNS_MAX);
    }
    if (len > 1) {
        reader->after_cr = false;
    }
    count_lines(reader, last);
    return reader->row_ended ? deliver_row(reader, err) : RC_OK;
}

static enum rc parse_rows(struct csv_reader *reader, const char *bytes, size_t len, struct err *err)
{
    const char *end = bytes + len;

    while (bytes < end) {
        const char *at = bytes;
        while (at < end && !reader->special[(unsigned char)*at]) {
            at++;
        }
        if (at < end && *at == '\0') {
            return err_set(err, RC_INVALID, "line %" PRIu64 ": a NUL byte; this is not a text file",
                           reader->line);
        }
        size_t segment = (size_t)(at - bytes) + (at < end);
        enum rc rc = parse_segment(reader, bytes, segment, err);
        if (rc != RC_OK) {
            return rc;
        }
        bytes += segment;
    }
    return RC_OK;
}

/* ---- dialect ------------------------------------------------------------------------------- */

/** With or without a byte-order mark: in UTF-16 text, Latin letters have a NUL byte beside them. */
static bool looks_like_utf16(const uint8_t *bytes, size_t len)
{
    if (len >= 2 &&
        ((bytes[0] == 0xff && bytes[1] == 0xfe) || (bytes[0] == 0xfe && bytes[1] == 0xff))) {
        return true;
    }
    return len >= 4 && ((bytes[0] != 0 && bytes[1] == 0 && bytes[2] != 0 && bytes[3] == 0) ||
                        (bytes[0] == 0 && bytes[1] != 0 && bytes[2] == 0 && bytes[3] != 0));
}

static enum rc begin_rows(struct csv_reader *reader, bool whole, struct err *err)
{
    const char *text = strbuf_text(&reader->sample);
    size_t len = reader->sample.len;

    if (looks_like_utf16((const uint8_t *)text, len)) {
        return err_set(err, RC_INVALID, "line 1: the text is UTF-16; save it as UTF-8");
    }
    if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
        reader->dialect.bom = true;
        text += 3;
        len -= 3;
    }
    reader->dialect.delimiter = csv_detect_delimiter(text, len, whole);
    csv_set_delim(&reader->parser, (unsigned char)reader->dialect.delimiter);
    reader->special[(unsigned char)reader->dialect.delimiter] = true;
    reader->special['\n'] = reader->special['\r'] = reader->special['\0'] = true;
    reader->step = ROWS;
    enum rc rc = parse_rows(reader, text, len, err);
    strbuf_done(&reader->sample);
    return rc;
}

static enum rc take_text(struct csv_reader *reader, const char *bytes, size_t len, struct err *err)
{
    if (reader->step == SAMPLE) {
        size_t take = MIN_OF(len, SAMPLE_BYTES - reader->sample.len);
        strbuf_add(&reader->sample, bytes, take);
        bytes += take;
        len -= take;
        if (reader->sample.len < SAMPLE_BYTES) {
            return RC_OK;
        }
        enum rc rc = begin_rows(reader, false, err);
        if (rc != RC_OK) {
            return rc;
        }
    }
    return parse_rows(reader, bytes, len, err);
}

/* ---- gzip ---------------------------------------------------------------------------------- */

static enum rc refuse_gzip(struct err *err, const char *why)
{
    return err_set(err, RC_CORRUPT, "damaged gzip data: %s", why != NULL ? why : "unknown cause");
}

/** After a member another may follow, or padding of zeros. */
static enum rc next_member(struct csv_reader *reader, bool *ret_padding, struct err *err)
{
    *ret_padding = false;
    if (*reader->stream.next_in == 0) {
        reader->stream.next_in++;
        reader->stream.avail_in--;
        *ret_padding = true;
        return RC_OK;
    }
    reader->member_done = false;
    if (inflateReset(&reader->stream) != Z_OK) {
        return refuse_gzip(err, reader->stream.msg);
    }
    return RC_OK;
}

static enum rc inflate_text(struct csv_reader *reader, const uint8_t *bytes, size_t len,
                            struct err *err)
{
    z_stream *stream = &reader->stream;
    scoped(free) char *out = mem_zeroed(INFLATE_STEP);
    bool more = len > 0;

    stream->next_in = (uint8_t *)(uintptr_t)bytes; /* zlib reads it only */
    stream->avail_in = (uInt)len;
    while (more) {
        if (reader->member_done) {
            bool padding;
            enum rc rc = next_member(reader, &padding, err);
            if (rc != RC_OK) {
                return rc;
            }
            more = stream->avail_in > 0;
            if (padding) {
                continue;
            }
        }
        stream->next_out = (uint8_t *)out;
        stream->avail_out = INFLATE_STEP;
        int z = inflate(stream, Z_NO_FLUSH);
        if (z != Z_OK && z != Z_STREAM_END && z != Z_BUF_ERROR) {
            return refuse_gzip(err, stream->msg);
        }
        reader->member_done = z == Z_STREAM_END;
        size_t made = INFLATE_STEP - stream->avail_out;
        reader->inflated += made;
        if (reader->inflated > CSV_INFLATED_MAX &&
            reader->inflated / CSV_INFLATED_RATIO > reader->packed + len) {
            return err_set(
                err, RC_INVALID,
                "the gzip data inflates to more than %d times its size: that is no table",
                CSV_INFLATED_RATIO);
        }
        enum rc rc = take_text(reader, out, made, err);
        if (rc != RC_OK) {
            return rc;
        }
        more = stream->avail_in > 0 || (stream->avail_out == 0 && !reader->member_done);
    }
    reader->packed += len;
    return RC_OK;
}

/* ---- the push ------------------------------------------------------------------------------ */

/** gzip's magic is two bytes, which may come one at a time. */
static enum rc feed(struct csv_reader *reader, const uint8_t *bytes, size_t len, struct err *err)
{
    if (reader->step == SNIFF_GZIP) {
        while (reader->head_len < 2 && len > 0) {
            reader->head[reader->head_len++] = *bytes++;
            len--;
        }
        if (reader->head_len < 2) {
            return RC_OK;
        }
        reader->step = SAMPLE;
        reader->dialect.gzip = reader->head[0] == 0x1f && reader->head[1] == 0x8b;
        if (reader->dialect.gzip) {
            if (inflateInit2(&reader->stream, MAX_WBITS + 16) != Z_OK) {
                return err_set(err, RC_LIMIT, "no memory to inflate");
            }
            reader->stream_open = true;
        }
        enum rc rc = feed(reader, reader->head, 2, err);
        if (rc != RC_OK) {
            return rc;
        }
    }
    while (len > 0) {
        size_t piece = MIN_OF(len, (size_t)1 << 30); /* zlib counts in 32 bits */
        enum rc rc = reader->dialect.gzip ? inflate_text(reader, bytes, piece, err)
                                          : take_text(reader, (const char *)bytes, piece, err);
        if (rc != RC_OK) {
            return rc;
        }
        bytes += piece;
        len -= piece;
    }
    return RC_OK;
}

/** Remember a failure, with the file's name in front. */
static enum rc settle(struct csv_reader *reader, enum rc rc, struct err *err)
{
    if (rc != RC_OK) {
        err_wrap(err, "'%s'", reader->name);
        reader->failed = *err;
    }
    return rc;
}

enum rc csv_reader_feed(struct csv_reader *reader, const void *bytes, size_t len, struct err *err)
{
    if (reader->failed.rc != RC_OK) {
        *err = reader->failed;
        return err->rc;
    }
    return settle(reader, feed(reader, bytes, len, err), err);
}

static enum rc end(struct csv_reader *reader, struct err *err)
{
    enum rc rc = RC_OK;

    if (reader->dialect.gzip && !reader->member_done) {
        return refuse_gzip(err, "it ends early");
    }
    if (reader->step == SNIFF_GZIP) { /* a file of one byte, or none */
        reader->step = SAMPLE;
        strbuf_add(&reader->sample, reader->head, reader->head_len);
    }
    if (reader->step == SAMPLE) {
        rc = begin_rows(reader, true, err);
    }
    if (rc != RC_OK) {
        return rc;
    }
    if (csv_fini(&reader->parser, on_field, on_row_end, reader) != 0) {
        return err_set(err, RC_INVALID,
                       "line %" PRIu64 ": a quoted field of this row is never closed",
                       reader->row_line);
    }
    return reader->row_ended ? deliver_row(reader, err) : RC_OK;
}

enum rc csv_reader_end(struct csv_reader *reader, struct err *err)
{
    if (reader->failed.rc != RC_OK) {
        *err = reader->failed;
        return err->rc;
    }
    return settle(reader, end(reader, err), err);
}
