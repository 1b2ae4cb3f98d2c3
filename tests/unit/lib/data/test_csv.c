/** @file
 * CSV as it is found in the wild.
 */
#include "tests/unit.h"

#include <inttypes.h>
#include <string.h>
#include <zlib.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/data/csv.h"

/** Rows as "LINE:field|field;", a quoted field in brackets. */
static enum rc collect(const struct csv_row *row, void *arg, struct err *err)
{
    struct strbuf *out = arg;

    (void)err;
    strbuf_printf(out, "%" PRIu64 ":", row->line);
    for (unsigned i = 0; i < row->count; i++) {
        strbuf_printf(out, row->quoted[i] ? "%s[%s]" : "%s%s", i > 0 ? "|" : "", row->fields[i]);
        assert_int_equal(row->lens[i], strlen(row->fields[i]));
    }
    strbuf_putc(out, ';');
    return RC_OK;
}

/** Feed `step` bytes at a time; the rows, or the error's text. */
static char *read_in_steps(const void *bytes, size_t len, size_t step, struct csv_dialect *dialect)
{
    struct strbuf out = {0};
    struct err err = {0};
    struct csv_reader *reader = csv_reader_new("x.csv", collect, &out);
    enum rc rc = RC_OK;

    for (size_t at = 0; at < len && rc == RC_OK; at += step) {
        rc = csv_reader_feed(reader, (const char *)bytes + at, MIN_OF(step, len - at), &err);
    }
    if (rc == RC_OK) {
        rc = csv_reader_end(reader, &err);
    }
    if (rc != RC_OK) {
        assert_int_equal(err.rc, rc);
        assert_int_equal(csv_reader_end(reader, &err), rc);
        strbuf_printf(&out, "%s %s", rc_name(rc), err.text);
    }
    if (dialect != NULL) {
        *dialect = *csv_reader_dialect(reader);
    }
    csv_reader_free(reader);
    return strbuf_take(&out);
}

static void expect_bytes(const void *bytes, size_t len, const char *expected)
{
    static const size_t steps[] = {1, 2, 3, 7, 1 << 20};

    for (unsigned i = 0; i < ARRAY_LEN(steps); i++) {
        char *got = read_in_steps(bytes, len, steps[i], NULL);
        assert_string_equal(got, expected);
        free(got);
    }
}

static void expect(const char *text, const char *expected)
{
    expect_bytes(text, strlen(text), expected);
}

static void rows_come_out_with_the_line_they_began_on(void **state)
{
    (void)state;
    expect("a,b\n1,2\n3,4\n", "1:a|b;2:1|2;3:3|4;");
    expect("a,b\r\n1,2\r\n", "1:a|b;2:1|2;");
    expect("a,b\r1,2\r", "1:a|b;2:1|2;");
    expect("a,b\n\n\r\n1,2", "1:a|b;4:1|2;");
    expect("a,b\n\"x\r\ny\n\",2\n5,6\n", "1:a|b;2:[x\r\ny\n]|2;5:5|6;");
    expect("", "");
    expect("x", "1:x;");
    expect("\n\n", "");
}

static void fields_keep_their_spaces_and_empty_ones_are_fields(void **state)
{
    (void)state;
    expect("a,b,c\n 1 ,,\n", "1:a|b|c;2: 1 ||;");
    expect("a,b\n,\n", "1:a|b;2:|;");
}

static void quotes_are_those_of_rfc_4180(void **state)
{
    (void)state;
    expect("a,b\n\"1,5\",\"say \"\"hi\"\"\"\n", "1:a|b;2:[1,5]|[say \"hi\"];");
    expect("a,b\n\"\",x\n", "1:a|b;2:[]|x;");
    expect("a,b\n1,x\"y\n",
           "1:a|b;INVALID 'x.csv': line 2: a quote inside an unquoted field; quote "
           "the field and double the quote");
    expect("a,b\n\"x\"y,1\n", "1:a|b;INVALID 'x.csv': line 2: text after the closing quote of a "
                              "field; a quote inside a quoted field must be doubled");
    expect("a,b\n1,\"x\n2,3\n",
           "1:a|b;INVALID 'x.csv': line 2: a quoted field of this row is never closed");
}

static void the_delimiter_is_what_splits_the_first_rows_evenly(void **state)
{
    (void)state;
    expect("a;b;c\n1,5;2,5;x\n1,5;2,7;y\n", "1:a|b|c;2:1,5|2,5|x;3:1,5|2,7|y;");
    expect("a\tb\n1,2\t3\n", "1:a|b;2:1,2|3;");
    expect("a|b\n1|2\n", "1:a|b;2:1|2;");
    expect("a,b\n\"x;y;z\",2\n", "1:a|b;2:[x;y;z]|2;");
    expect("a,b,c\n1,2\n1;2,3,4\n", "1:a|b|c;2:1|2;3:1;2|3|4;");
    expect("only\n1;2\n", "1:only;2:1;2;");
}

static void a_byte_order_mark_is_no_part_of_the_first_name(void **state)
{
    struct csv_dialect dialect;
    char *got = read_in_steps("\xef\xbb\xbfid,x\n1,2\n", 12, 1, &dialect);

    (void)state;
    assert_string_equal(got, "1:id|x;2:1|2;");
    assert_true(dialect.bom);
    assert_false(dialect.gzip);
    free(got);
}

static void utf_16_is_refused_in_words_that_help(void **state)
{
    static const char *const words =
        "INVALID 'x.csv': line 1: the text is UTF-16; save it as UTF-8";

    (void)state;
    expect_bytes("\xff\xfei\0d\0", 6, words);
    expect_bytes("\xfe\xff\0i\0d", 6, words);
    expect_bytes("i\0d\0,\0", 6, words);
}

static void a_nul_byte_is_named_with_its_line(void **state)
{
    (void)state;
    expect_bytes("a,b\n1,\0\n", 8,
                 "1:a|b;INVALID 'x.csv': line 2: a NUL byte; this is not a text file");
}

/** Each text a gzip member of its own. */
static size_t gzip(const char *const *texts, uint8_t *out, size_t room)
{
    size_t len = 0;

    for (; *texts != NULL; texts++) {
        z_stream stream = {0};
        assert_int_equal(deflateInit2(&stream, 6, Z_DEFLATED, MAX_WBITS + 16, 8, 0), Z_OK);
        stream.next_in = (Bytef *)(uintptr_t)*texts;
        stream.avail_in = (uInt)strlen(*texts);
        stream.next_out = out + len;
        stream.avail_out = (uInt)(room - len);
        assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
        len += stream.total_out;
        deflateEnd(&stream);
    }
    return len;
}

static void gzip_is_inflated_member_after_member(void **state)
{
    static const char *const texts[] = {"a,b\n1,", "2\n3,4\n", "", "5,6\n", NULL};
    uint8_t packed[512];
    size_t len = gzip(texts, packed, sizeof(packed));

    (void)state;
    expect_bytes(packed, len, "1:a|b;2:1|2;3:3|4;4:5|6;");
    memset(packed + len, 0, 3); /* padding, as tapes and tar leave it */
    expect_bytes(packed, len + 3, "1:a|b;2:1|2;3:3|4;4:5|6;");
}

static enum rc count_row(const struct csv_row *row, void *arg, struct err *err)
{
    (void)row, (void)err;
    ++*(uint64_t *)arg;
    return RC_OK;
}

/** Members of `row` repeated, `count` of them; how reading them ends. */
static enum rc read_repeated(const char *row, size_t times, unsigned count, struct err *err)
{
    scoped(strbuf_done) struct strbuf text = {0};
    scoped(free) uint8_t *packed = mem_zeroed(1 << 20);
    uint64_t rows = 0;
    enum rc rc = RC_OK;

    for (size_t i = 0; i < times; i++) {
        strbuf_puts(&text, row);
    }
    const char *const texts[] = {strbuf_text(&text), NULL};
    const size_t len = gzip(texts, packed, 1 << 20);
    struct csv_reader *reader = csv_reader_new("x.csv", count_row, &rows);

    for (unsigned i = 0; i < count && rc == RC_OK; i++) {
        rc = csv_reader_feed(reader, packed, len, err);
    }
    csv_reader_free(reader);
    return rc;
}

static void a_gzip_bomb_is_refused_and_a_table_that_packs_well_is_not(void **state)
{
    (void)state;
    struct err err;
    char row[4096];

    memset(row, 'x', sizeof(row) - 2);
    row[sizeof(row) - 2] = '\n', row[sizeof(row) - 1] = '\0';
    assert_int_equal(read_repeated(row, 256, 100, &err), RC_INVALID);
    assert_string_equal(err.text, "'x.csv': the gzip data inflates to more than 250 times its size:"
                                  " that is no table");
    assert_int_equal(read_repeated(row, 2, 9000, &err), RC_OK); /* 70 MiB, 160 times as much */
}

static void damaged_gzip_is_corrupt(void **state)
{
    static const char *const texts[] = {"a,b\n1,2\n", NULL};
    uint8_t packed[512];
    size_t len = gzip(texts, packed, sizeof(packed));
    char *got;

    (void)state;
    got = read_in_steps(packed, len - 4, 1, NULL);
    assert_string_equal(got, "CORRUPT 'x.csv': damaged gzip data: it ends early");
    free(got);
    packed[len - 8] ^= 1;
    got = read_in_steps(packed, len, 1, NULL);
    assert_non_null(strstr(got, "CORRUPT 'x.csv': damaged gzip data: incorrect data check"));
    free(got);
    packed[len - 8] ^= 1;
    packed[len] = 'x';
    got = read_in_steps(packed, len + 1, 1 << 20, NULL);
    assert_non_null(strstr(got, "CORRUPT 'x.csv': damaged gzip data"));
    free(got);
}

static void a_row_without_end_is_refused_before_memory_is(void **state)
{
    struct err err = {0};
    struct strbuf out = {0};
    struct csv_reader *reader = csv_reader_new("x.csv", collect, &out);
    char piece[65536];
    enum rc rc = csv_reader_feed(reader, "a,b\n1,\"", 7, &err);
    size_t fed = 0;

    (void)state;
    memset(piece, 'x', sizeof(piece));
    while (rc == RC_OK && fed < 2 * CSV_ROW_MAX) {
        rc = csv_reader_feed(reader, piece, sizeof(piece), &err);
        fed += sizeof(piece);
    }
    assert_int_equal(rc, RC_INVALID);
    assert_string_equal(err.text,
                        "'x.csv': line 2: the row is longer than 4194304 bytes; is a quote "
                        "left open?");
    csv_reader_free(reader);
    strbuf_done(&out);
}

static void more_columns_than_the_bound_are_refused(void **state)
{
    struct strbuf text = {0};
    char *got;

    (void)state;
    for (unsigned i = 0; i <= CSV_COLUMNS_MAX; i++) {
        strbuf_puts(&text, "x,");
    }
    got = read_in_steps(text.data, text.len, 1 << 20, NULL);
    assert_string_equal(got, "INVALID 'x.csv': line 1: more than 4096 columns");
    free(got);
    strbuf_done(&text);
}

static enum rc refuse_second(const struct csv_row *row, void *arg, struct err *err)
{
    unsigned *calls = arg;

    (*calls)++;
    return row->line == 2 ? err_set(err, RC_CANCELED, "enough") : RC_OK;
}

static void a_callback_that_refuses_ends_the_reading(void **state)
{
    struct err err = {0};
    unsigned calls = 0;
    struct csv_reader *reader = csv_reader_new("x.csv", refuse_second, &calls);

    (void)state;
    assert_int_equal(csv_reader_feed(reader, "a\n1\n2\n3\n", 8, &err), RC_OK);
    assert_int_equal(csv_reader_end(reader, &err), RC_CANCELED);
    assert_string_equal(err.text, "'x.csv': enough");
    assert_int_equal(csv_reader_feed(reader, "4\n", 2, &err), RC_CANCELED);
    assert_int_equal(calls, 2);
    csv_reader_free(reader);
}

static void what_follows_the_sample_is_read_like_the_sample(void **state)
{
    struct strbuf text = {0}, out = {0};
    struct err err;
    unsigned rows = 20000;

    (void)state;
    for (unsigned i = 0; i < rows; i++) {
        strbuf_printf(&text, "%u;\"a\nb\"\n", i);
    }
    struct csv_reader *reader = csv_reader_new("x.csv", collect, &out);
    assert_int_equal(csv_reader_feed(reader, text.data, text.len, &err), RC_OK);
    assert_int_equal(csv_reader_end(reader, &err), RC_OK);
    assert_non_null(strstr(out.data, ";39999:19999|[a\nb];"));
    csv_reader_free(reader);
    strbuf_done(&text);
    strbuf_done(&out);
}

static void a_text_has_a_quote_where_a_field_is_quoted(void **state)
{
    static const char *const fields[] = {"",      "a",      "a b",  "a,b",  "a\"b", "\"",
                                         " lead", "trail ", "a\nb", "a\rb", "a\\b", "'a'"};

    (void)state;
    assert_int_equal(csv_quotes_of(NULL, 0), CSV_QUOTES_NONE);
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        struct strbuf text = {0};

        strbuf_puts(&text, "x,");
        strbuf_csv(&text, fields[i], strlen(fields[i]));
        strbuf_putc(&text, '\n');
        const bool plain = text.len == strlen(fields[i]) + 3;

        assert_int_equal(csv_quotes_of(text.data, text.len),
                         plain ? CSV_QUOTES_NONE : CSV_QUOTES_SOME);
        strbuf_done(&text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_come_out_with_the_line_they_began_on),
        cmocka_unit_test(fields_keep_their_spaces_and_empty_ones_are_fields),
        cmocka_unit_test(quotes_are_those_of_rfc_4180),
        cmocka_unit_test(the_delimiter_is_what_splits_the_first_rows_evenly),
        cmocka_unit_test(a_byte_order_mark_is_no_part_of_the_first_name),
        cmocka_unit_test(utf_16_is_refused_in_words_that_help),
        cmocka_unit_test(a_nul_byte_is_named_with_its_line),
        cmocka_unit_test(gzip_is_inflated_member_after_member),
        cmocka_unit_test(a_gzip_bomb_is_refused_and_a_table_that_packs_well_is_not),
        cmocka_unit_test(damaged_gzip_is_corrupt),
        cmocka_unit_test(a_row_without_end_is_refused_before_memory_is),
        cmocka_unit_test(more_columns_than_the_bound_are_refused),
        cmocka_unit_test(a_callback_that_refuses_ends_the_reading),
        cmocka_unit_test(what_follows_the_sample_is_read_like_the_sample),
        cmocka_unit_test(a_text_has_a_quote_where_a_field_is_quoted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
