#include "tests/unit.h"

#include "daemon/crawl/csv_schema.h"
#include "lib/base/str.h"

static enum rc on_row(const struct csv_row *row, void *arg, struct err *err)
{
    return csv_schema_row(arg, row, err);
}

static enum rc read_csv(struct csv_schema *schema, const char *text, struct err *err)
{
    scoped(csv_reader_free) struct csv_reader *reader = csv_reader_new("x.csv", on_row, schema);

    if (csv_reader_feed(reader, text, strlen(text), err) != RC_OK) {
        return err->rc;
    }
    return csv_reader_end(reader, err);
}

/** "a bigint, b string; 2 rows" of a text. */
static void assert_schema(const char *text, const char *expected)
{
    scoped(csv_schema_free) struct csv_schema *schema = csv_schema_new();
    scoped(arena_free) struct arena *arena = arena_new();
    scoped(strbuf_done) struct strbuf found = {0};
    struct catalog_csv_schema result = {0};
    struct err err;

    if (read_csv(schema, text, &err) != RC_OK) {
        fail_msg("%s", err.text);
    }
    csv_schema_end(schema, arena, &result);
    for (unsigned i = 0; i < result.column_count; i++) {
        strbuf_printf(&found, "%s%s %s", i > 0 ? ", " : "", result.columns[i].name,
                      result.columns[i].type);
    }
    strbuf_printf(&found, "; %llu rows%s", (unsigned long long)result.rows,
                  result.header ? "" : ", no header");
    assert_string_equal(found.data, expected);
}

static void types_are_the_narrowest_that_hold_all_rows(void **state)
{
    (void)state;
    assert_schema("i,d,t,s\n1,1,2019-01-01,x\n2,2.5,2019-01-01 10:00,1\n",
                  "i bigint, d double, t timestamp, s string; 2 rows");
    assert_schema("a,b\n1,2019-01-01\nx,5\n", "a string, b string; 2 rows");
}

static void one_row_a_thousand_rows_down_still_counts(void **state)
{
    (void)state;
    scoped(strbuf_done) struct strbuf text = {0};

    strbuf_puts(&text, "a\n");
    for (int i = 0; i < 1000; i++) {
        strbuf_puts(&text, "1\n");
    }
    strbuf_puts(&text, "1.5\n");
    assert_schema(text.data, "a double; 1001 rows");
}

static void empty_fields_tell_nothing(void **state)
{
    (void)state;
    assert_schema("a,b,c\n,,x\n1,,NaN\nNA,,\n", "a bigint, b , c string; 3 rows");
}

static void codes_stay_text(void **state)
{
    (void)state;
    assert_schema("fips,big,at\n01,9223372036854775808,30-APR-19 14:52:00\n",
                  "fips string, big string, at string; 1 rows");
}

static void integers_that_a_double_would_round_stay_text_beside_doubles(void **state)
{
    (void)state;
    assert_schema("a\n9007199254740993\n", "a bigint; 1 rows");
    assert_schema("a\n9007199254740993\n0.5\n", "a string; 2 rows");
}

static void a_first_row_with_a_number_is_no_header(void **state)
{
    (void)state;
    assert_schema("x,1\ny,2\n", "column_1 string, column_2 bigint; 2 rows, no header");
    assert_schema("1\n2.5\n", "column_1 double; 2 rows, no header");
    assert_schema("alice,bob\ncarol,dave\n", "alice string, bob string; 1 rows");
    assert_schema(",\n", "column_1 , column_2 ; 1 rows, no header");
}

static void a_header_alone_is_a_table_without_rows(void **state)
{
    (void)state;
    assert_schema("a,b\n", "a , b ; 0 rows");
}

static void names_become_identifiers_that_differ(void **state)
{
    (void)state;
    assert_schema("Begin Date (UTC),BEGIN_DATE_UTC,,2019,\xc3\xa9t\xc3\xa9,_source\nx,x,x,x,x,x\n",
                  "column_1 string, column_2 string, column_3 string, column_4 string,"
                  " column_5 string, column_6 string; 2 rows, no header");
    assert_schema("Begin Date (UTC),BEGIN_DATE_UTC,,2nd,\xc3\xa9t\xc3\xa9,_source\nx,x,x,x,x,x\n",
                  "begin_date_utc string, begin_date_utc_2 string, column_3 string, _2nd string,"
                  " t string, source string; 1 rows");
}

static void assert_ragged(const char *text, const char *expected)
{
    scoped(csv_schema_free) struct csv_schema *schema = csv_schema_new();
    struct err err;

    assert_int_equal(read_csv(schema, text, &err), RC_INVALID);
    assert_non_null(strstr(err.text, expected));
}

static void a_row_of_another_width_is_refused_with_its_line(void **state)
{
    (void)state;
    assert_ragged("a,b\n1,2\n\n1,2,3\n", "line 4 has 3 fields, but the first row has 2");
    assert_ragged("a,b\n\"x\ny\",2\n1\n", "line 4 has 1 field, but the first row has 2");
}

static void more_columns_than_a_table_can_have_are_refused(void **state)
{
    (void)state;
    scoped(csv_schema_free) struct csv_schema *schema = csv_schema_new();
    scoped(strbuf_done) struct strbuf text = {0};
    struct err err;

    for (unsigned i = 0; i <= CSV_SCHEMA_COLUMNS_MAX; i++) {
        strbuf_printf(&text, "%sc%u", i > 0 ? "," : "", i);
    }
    strbuf_puts(&text, "\n");
    assert_int_equal(read_csv(schema, text.data, &err), RC_UNSUPPORTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types_are_the_narrowest_that_hold_all_rows),
        cmocka_unit_test(one_row_a_thousand_rows_down_still_counts),
        cmocka_unit_test(empty_fields_tell_nothing),
        cmocka_unit_test(codes_stay_text),
        cmocka_unit_test(integers_that_a_double_would_round_stay_text_beside_doubles),
        cmocka_unit_test(a_first_row_with_a_number_is_no_header),
        cmocka_unit_test(a_header_alone_is_a_table_without_rows),
        cmocka_unit_test(names_become_identifiers_that_differ),
        cmocka_unit_test(a_row_of_another_width_is_refused_with_its_line),
        cmocka_unit_test(more_columns_than_a_table_can_have_are_refused),
    };
    return cmocka_run_group_tests_name("csv_schema", tests, NULL, NULL);
}
