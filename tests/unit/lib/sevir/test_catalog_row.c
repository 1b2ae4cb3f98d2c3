/** @file
 * Rows of the catalog: what is read, and what is said of a file that a spreadsheet has saved.
 */
#include "tests/unit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/sevir/catalog_row.h"

#define HEADER                                                                        \
    "id,file_name,file_index,img_type,time_utc,minute_offsets,episode_id,event_id,"   \
    "event_type,llcrnrlat,llcrnrlon,urcrnrlat,urcrnrlon,proj,size_x,size_y,height_m," \
    "width_m,data_min,data_max,pct_missing\n"
#define PROJ "+proj=laea +lat_0=38 +lon_0=-98 +units=m +a=6370997.0 +ellps=sphere"
#define ROW                                                                                  \
    "S834603,vil/2019/A.h5,7,vil,2019-05-12 18:30:00,-120:-115:0:120,138793.0,834603.0,"     \
    "Flood,29.86291091102648,-100.85553007644953,33.352318557307264,-96.8381467126008," PROJ \
    " ,384,384,384000.0,384000.0,0.0,112.0,0.25\n"

struct reading {
    struct arena *arena;
    struct catalog_header header;
    struct catalog_row row;
    bool recognised;
    unsigned rows;
};

static enum rc take(const struct csv_row *row, void *arg, struct err *err)
{
    struct reading *reading = arg;

    if (row->line == 1) {
        reading->recognised = catalog_header_recognise(row);
        return catalog_header_check(row, &reading->header, err);
    }
    reading->rows++;
    return catalog_row_parse(&reading->header, row, reading->arena, &reading->row, err);
}

static enum rc read_text(const char *text, struct reading *reading, struct err *err)
{
    *reading = (struct reading){.arena = arena_new()};
    struct csv_reader *reader = csv_reader_new("CATALOG.csv", take, reading);
    enum rc rc = csv_reader_feed(reader, text, strlen(text), err);

    if (rc == RC_OK) {
        rc = csv_reader_end(reader, err);
    }
    csv_reader_free(reader);
    return rc;
}

/** ROW with column `index` (from 0) replaced. */
static char *row_with(unsigned index, const char *value)
{
    struct strbuf out = {0};
    const char *at = ROW;

    for (unsigned i = 0; i < CATALOG_COLUMNS; i++) {
        size_t len = strcspn(at, ",\n");
        strbuf_puts(&out, i > 0 ? "," : "");
        if (i == index) {
            strbuf_csv(&out, value, strlen(value));
        } else {
            strbuf_add(&out, at, len);
        }
        at += len + 1;
    }
    strbuf_putc(&out, '\n');
    return strbuf_take(&out);
}

static unsigned column(const char *name)
{
    for (unsigned i = 0; i < CATALOG_COLUMNS; i++) {
        if (strcmp(catalog_columns[i], name) == 0) {
            return i;
        }
    }
    fail_msg("no column %s", name);
    return 0;
}

/** The message for a value, without the file's name and the line. */
static void expect_refused(const char *name, const char *value, const char *expected)
{
    struct reading reading;
    struct err err;
    scoped(free) char *row = row_with(column(name), value);
    scoped(free) char *text = str_printf("%s%s", HEADER, row);
    scoped(free) char *message =
        str_printf("'CATALOG.csv': line 2 column '%s': %s", name, expected);

    assert_int_equal(read_text(text, &reading, &err), RC_INVALID);
    assert_string_equal(err.text, message);
    arena_free(reading.arena);
}

static void expect_read(const char *name, const char *value)
{
    struct reading reading;
    struct err err;
    scoped(free) char *row = row_with(column(name), value);
    scoped(free) char *text = str_printf("%s%s", HEADER, row);

    assert_int_equal(read_text(text, &reading, &err), RC_OK);
    arena_free(reading.arena);
}

static void a_row_is_read_as_it_stands(void **state)
{
    struct reading reading;
    struct err err;

    (void)state;
    assert_int_equal(read_text(HEADER ROW, &reading, &err), RC_OK);
    assert_true(reading.recognised);
    assert_int_equal(reading.rows, 1);
    assert_string_equal(reading.row.id, "S834603");
    assert_true(catalog_row_is_storm(&reading.row));
    assert_string_equal(reading.row.file_name, "vil/2019/A.h5");
    assert_int_equal(reading.row.file_index, 7);
    assert_int_equal(reading.row.img_type, SEVIR_VIL);
    assert_int_equal(reading.row.time_utc, 1557685800);
    assert_int_equal(reading.row.frame_count, 4);
    assert_int_equal(reading.row.minute_offsets[0], -120);
    assert_int_equal(reading.row.minute_offsets[3], 120);
    assert_string_equal(reading.row.episode_id, "138793");
    assert_string_equal(reading.row.event_id, "834603");
    assert_string_equal(reading.row.event_type, "Flood");
    assert_true(reading.row.llcrnrlon == -100.85553007644953);
    assert_string_equal(reading.row.proj, PROJ);
    assert_int_equal(reading.row.size_x, 384);
    assert_true(reading.row.pct_missing == 0.25);
    arena_free(reading.arena);
}

static void what_is_written_reads_back_the_same(void **state)
{
    struct reading reading, again;
    struct strbuf out = {0}, second = {0};
    struct err err;

    (void)state;
    assert_int_equal(read_text(HEADER ROW, &reading, &err), RC_OK);
    catalog_row_write_header(&out);
    catalog_row_write(&reading.row, &out);
    assert_int_equal(read_text(out.data, &again, &err), RC_OK);
    assert_true(again.row.llcrnrlat == reading.row.llcrnrlat);
    assert_true(again.row.urcrnrlat == reading.row.urcrnrlat);
    struct catalog_row copy = catalog_row_copy(&again.row, reading.arena);
    arena_free(again.arena);
    catalog_row_write_header(&second);
    catalog_row_write(&copy, &second);
    assert_string_equal(out.data, second.data);
    assert_string_equal(
        out.data, HEADER
        "S834603,vil/2019/A.h5,7,vil,2019-05-12 18:30:00,-120:-115:0:120,138793,834603,Flood,"
        "29.86291091102648,-100.85553007644953,33.352318557307264,-96.8381467126008," PROJ
        ",384,384,384000,384000,0,112,0.25\n");
    arena_free(reading.arena);
    strbuf_done(&out);
    strbuf_done(&second);
}

static void columns_may_stand_in_any_order_among_others_and_be_quoted(void **state)
{
    struct reading reading;
    struct err err;

    (void)state;
    assert_int_equal(
        read_text("pct_missing,,id,file_name,file_index,img_type,time_utc,minute_offsets,"
                  "episode_id,event_id,event_type,llcrnrlat,llcrnrlon,urcrnrlat,urcrnrlon,proj,"
                  "size_x,size_y,height_m,width_m,data_min,data_max\n"
                  ",17,\"R19010101017684\",a.h5,0,lght,2019-01-01 01:01:15,,,,,30,-100,33,-97,"
                  "\"" PROJ "\",48,48,384000.0,384000.0,,\n",
                  &reading, &err),
        RC_OK);
    assert_false(catalog_row_is_storm(&reading.row));
    assert_int_equal(reading.row.frame_count, 0);
    assert_string_equal(reading.row.event_id, "");
    assert_true(isnan(reading.row.pct_missing));
    assert_true(isnan(reading.row.data_max));
    arena_free(reading.arena);
}

static void a_header_is_recognised_by_its_first_columns_and_then_must_be_whole(void **state)
{
    struct reading reading;
    struct err err;

    (void)state;
    assert_int_equal(read_text("id,file_name,file_index,img_type,time_utc\n", &reading, &err),
                     RC_INVALID);
    assert_true(reading.recognised);
    assert_string_equal(err.text, "'CATALOG.csv': line 1 column 'minute_offsets': the header lacks "
                                  "it; a SEVIR catalog has 21 columns");
    arena_free(reading.arena);
    assert_int_equal(read_text("id,name,file_index,img_type,time_utc\n", &reading, &err),
                     RC_INVALID);
    assert_false(reading.recognised);
    arena_free(reading.arena);
    scoped(free) char *twice = str_printf("id,%s", HEADER);
    assert_int_equal(read_text(twice, &reading, &err), RC_INVALID);
    assert_string_equal(err.text, "'CATALOG.csv': line 1 column 'id': the header has it twice");
    arena_free(reading.arena);
}

static void a_row_cut_short_is_named(void **state)
{
    struct reading reading;
    struct err err;

    (void)state;
    assert_int_equal(read_text(HEADER "S834603,vil/2019/A.h5,7,vil,2019-05\n", &reading, &err),
                     RC_INVALID);
    assert_string_equal(err.text, "'CATALOG.csv': line 2: 5 fields where the header has 21; is the "
                                  "row cut short?");
    arena_free(reading.arena);
}

static void what_spreadsheets_do_is_told_with_what_to_do(void **state)
{
    (void)state;
    expect_refused("time_utc", "5/12/2019 18:30",
                   "'5/12/2019 18:30' is not a time like 2019-05-12 18:30:00; a spreadsheet has "
                   "rewritten it, use the original file");
    expect_refused("proj", "#NAME?",
                   "'#NAME?' is a spreadsheet's error; use the original file, which no spreadsheet "
                   "has saved");
    expect_refused("event_id", "1.39E+05",
                   "'1.39E+05' is in scientific notation, a spreadsheet has rounded it; use the "
                   "original file");
    expect_refused("id", "8.34E+05",
                   "'8.34E+05' is in scientific notation, a spreadsheet has rounded it; use the "
                   "original file");
    expect_refused("llcrnrlat", "29,86291",
                   "'29,86291' has a decimal comma; save the file with decimal points, or use the "
                   "original");
}

static void every_number_is_checked_against_what_it_can_be(void **state)
{
    (void)state;
    expect_refused("file_index", "-1", "'-1' is not a whole number");
    expect_refused("file_index", "99999999999", "'99999999999' is not within 0 and 4294967295");
    expect_refused("llcrnrlat", "91", "'91' is not within -90 and 90");
    expect_refused("urcrnrlon", "-181.5", "'-181.5' is not within -180 and 180");
    expect_refused("urcrnrlon", "", "the field is empty");
    expect_refused("urcrnrlon", "nan", "'nan' is not a number");
    expect_refused("size_x", "0", "'0' is not within 1 and 1000000");
    expect_refused("width_m", "0", "'0' is not within 0.001 and 1000000000");
    expect_refused("pct_missing", "1.5", "'1.5' is not within 0 and 1");
    expect_read("file_index", "3.0");
    expect_read("data_min", "-1e-05");
}

static void every_text_is_checked_too(void **state)
{
    (void)state;
    expect_refused("id", "../x",
                   "'../x' is not an event id; ids are like S834603 or "
                   "R18032505027684");
    expect_refused("img_type", "VIL", "'VIL' is none of vis, ir069, ir107, vil, lght");
    expect_refused("file_name", "a/../b.h5",
                   "'a/../b.h5' is not a file name; names are like "
                   "vil/2019/SEVIR_VIL_STORMEVENTS_..._.h5");
    expect_refused("time_utc", "2019-02-29 00:00:00",
                   "'2019-02-29 00:00:00' is not a time like 2019-05-12 18:30:00");
    expect_refused("time_utc", "2019-05-12T18:30:00",
                   "'2019-05-12T18:30:00' is not a time like 2019-05-12 18:30:00");
    expect_refused("minute_offsets", "", "the field is empty; only lght rows have no offsets");
    expect_refused("minute_offsets",
                   "1:2:", "'1:2:' is not a list of minutes like -120:-115:...:120");
    expect_refused("minute_offsets", "99999",
                   "'99999' is not a list of minutes like -120:-115:...:120");
    expect_refused("event_type", "\xff", "'\xff' is not a short text in UTF-8");
}

static void a_message_shows_a_short_harmless_piece_of_the_value(void **state)
{
    (void)state;
    expect_refused("img_type", "\x1b[31m01234567890123456789012345678901234567890123456789",
                   "'?[31m0123456789012345678901234567890123456789012...' is none of vis, ir069, "
                   "ir107, vil, lght");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_row_is_read_as_it_stands),
        cmocka_unit_test(what_is_written_reads_back_the_same),
        cmocka_unit_test(columns_may_stand_in_any_order_among_others_and_be_quoted),
        cmocka_unit_test(a_header_is_recognised_by_its_first_columns_and_then_must_be_whole),
        cmocka_unit_test(a_row_cut_short_is_named),
        cmocka_unit_test(what_spreadsheets_do_is_told_with_what_to_do),
        cmocka_unit_test(every_number_is_checked_against_what_it_can_be),
        cmocka_unit_test(every_text_is_checked_too),
        cmocka_unit_test(a_message_shows_a_short_harmless_piece_of_the_value),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
