#include "tests/unit/daemon/catalog/temp_catalog.h"

#include "daemon/catalog/catalog_outputs.h"

static void define(struct db *db, const char *database, const struct catalog_column *columns,
                   unsigned count)
{
    const struct catalog_table table = {
        .database = database,
        .name = "storms",
        .format = "csv",
        .location = "",
        .columns = columns,
        .column_count = count,
    };
    int64_t version;

    assert_ok(catalog_table_put(db, &table, &version, &err));
}

static enum rc load(struct temp_catalog *temp, const char *table, const char *csv,
                    struct err *ret_err)
{
    return catalog_rows_load(temp->db, temp->source, table, csv, strlen(csv), ret_err);
}

static const struct catalog_column columns[] = {
    {"id", "bigint", NULL}, {"code", "string", NULL}, {"size", "double", NULL}};

static void rows_are_typed_by_the_data_catalog_and_show_without_their_source(void **state)
{
    struct temp_catalog *temp = *state;

    define(temp->db, "raw", columns, 3);
    assert_ok(load(temp, "storms", "id,code,size\n1,007,0.1\n2,,\n", &err));
    assert_cells(temp->db,
                 "SELECT *, typeof(id), typeof(code), typeof(size), size = 0.1 FROM storms",
                 "1,007,0.1,integer,text,real,1;2,NULL,NULL,integer,null,null,NULL");
}

/** SQLite's own conversion of text gives the neighbour for this one. */
static void numbers_read_back_to_the_very_same_double(void **state)
{
    struct temp_catalog *temp = *state;
    sqlite3_stmt *stmt;

    define(temp->db, "raw", columns, 3);
    assert_ok(load(temp, "storms", "size\n4050216765.361552\n", &err));
    sqlite3_prepare_v2(db_handle(temp->db), "SELECT size FROM storms", -1, &stmt, NULL);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    assert_true(sqlite3_column_double(stmt, 0) == 4050216765.361552);
    sqlite3_finalize(stmt);
}

static void pieces_of_a_file_add_up(void **state)
{
    struct temp_catalog *temp = *state;

    define(temp->db, "processed", columns, 3);
    assert_ok(load(temp, "storms", "id,code,size\n1,a,1\n", &err));
    assert_ok(load(temp, "storms", "id,code,size\n2,\"b,\"\"\nc\",2\n", &err));
    assert_ok(load(temp, "storms", "id,code,size\n", &err));
    assert_cells(temp->db, "SELECT id, code FROM storms", "1,a;2,b,\"\nc");
}

static void a_column_that_widened_converts_the_rows_that_are_there(void **state)
{
    struct temp_catalog *temp = *state;
    const struct catalog_column wide[] = {
        {"id", "string", NULL}, {"size", "double", NULL}, {"more", "bigint", NULL}};

    define(temp->db, "raw", columns, 3);
    assert_ok(load(temp, "storms", "id,code,size\n1,a,1\n", &err));
    define(temp->db, "raw", wide, 3);
    assert_ok(load(temp, "storms", "id,more\n00x,5\n", &err));
    assert_cells(temp->db, "SELECT *, typeof(id) FROM storms",
                 "1,a,1.0,NULL,text;00x,NULL,NULL,5,text");
    assert_cells(temp->db, "SELECT count(*) FROM storms WHERE id = '1'", "1");
}

static void a_column_without_values_becomes_what_its_first_values_are(void **state)
{
    struct temp_catalog *temp = *state;
    const struct catalog_column empty[] = {{"id", "bigint", NULL}, {"n", "", NULL}};
    const struct catalog_column known[] = {{"n", "bigint", NULL}};

    define(temp->db, "raw", empty, 2);
    assert_ok(load(temp, "storms", "id,n\n1,\n", &err));
    define(temp->db, "raw", known, 1);
    assert_ok(load(temp, "storms", "id,n\n2,5\n", &err));
    assert_cells(temp->db, "SELECT id, n, typeof(n) FROM storms", "1,NULL,null;2,5,integer");
}

static void a_column_that_nobody_announced_is_a_string(void **state)
{
    struct temp_catalog *temp = *state;

    define(temp->db, "raw", columns, 1);
    assert_ok(load(temp, "storms", "id,extra\n1,2\n", &err));
    assert_cells(temp->db, "SELECT id, typeof(extra) FROM storms", "1,text");
}

static void frames_have_their_columns_and_gain_new_ones(void **state)
{
    struct temp_catalog *temp = *state;

    assert_ok(load(temp, "frames", "id,img_type,frame,mean,p01\nS1,vil,0,12.5,\n", &err));
    assert_ok(load(temp, "frames", "id,frame,news\nS1,1,x\n", &err));
    assert_cells(temp->db, "SELECT id, frame, typeof(mean), news FROM frames",
                 "S1,0,real,NULL;S1,1,null,x");
    assert_ok(load(temp, "flashes", "id,time_utc,t,lat,lon,x,y\nR1,2019-01-01 00:00:00,1,2,3,4,5\n",
                   &err));
    assert_cells(temp->db, "SELECT id, t FROM flashes WHERE time_utc >= '2019'", "R1,1.0");
    assert_cells(temp->db, "SELECT count(*) FROM flashes WHERE time_utc >= '2020'", "0");
}

static void the_columns_of_frames_are_those_of_the_data_catalog(void **state)
{
    struct temp_catalog *temp = *state;
    scoped(strbuf_done) struct strbuf names = {0};

    for (unsigned i = 0; i < catalog_frames_column_count; i++) {
        strbuf_printf(&names, "%s%s", i > 0 ? ";" : "", catalog_frames_columns[i].name);
    }
    assert_int_equal(catalog_frames_column_count, 28);
    assert_cells(temp->db, "SELECT name FROM pragma_table_info('frames')", names.data);
    strbuf_reset(&names);
    for (unsigned i = 0; i < catalog_flashes_column_count; i++) {
        strbuf_printf(&names, "%s%s", i > 0 ? ";" : "", catalog_flashes_columns[i].name);
    }
    assert_cells(temp->db, "SELECT name FROM pragma_table_info('flashes')", names.data);
}

static void rows_that_do_not_fit_the_header_are_refused(void **state)
{
    struct temp_catalog *temp = *state;

    assert_int_equal(load(temp, "storms", "id,code\n1\n", &err), RC_CORRUPT);
    assert_string_equal(err.text, "rows of table 'storms': row 1 has 1 fields, the header 2");
    assert_int_equal(load(temp, "storms", "id\n1\n1,2\n", &err), RC_CORRUPT);
    assert_int_equal(load(temp, "storms", "id\n\"1\n", &err), RC_CORRUPT);
}

static void a_name_that_is_ours_cannot_be_a_table_of_rows(void **state)
{
    struct temp_catalog *temp = *state;

    assert_int_equal(load(temp, "tables", "id\n1\n", &err), RC_BUG);
    assert_int_equal(load(temp, "outputs", "id\n1\n", &err), RC_BUG);
}

static void names_with_quotes_are_names(void **state)
{
    struct temp_catalog *temp = *state;

    assert_ok(load(temp, "t\"x'y", "\"a\"\"b\"\n1\n", &err));
    assert_cells(temp->db, "SELECT \"a\"\"b\" FROM \"t\"\"x'y\"", "1");
}

static void clearing_a_source_leaves_the_rows_of_others(void **state)
{
    struct temp_catalog *temp = *state;
    const struct catalog_output output = {"k", 5, "00", "table"};
    int64_t other;

    assert_ok(catalog_source(temp->db, "b", "other", &other, &err));
    define(temp->db, "processed", columns, 1);
    assert_ok(catalog_table_feed(temp->db, "processed", "storms", temp->source, &err));
    assert_ok(catalog_table_feed(temp->db, "processed", "storms", other, &err));
    assert_ok(catalog_outputs_clear(temp->db, temp->source, &err)); /* nothing is there yet */
    assert_ok(load(temp, "storms", "id\n1\n", &err));
    assert_ok(load(temp, "frames", "id\nS1\n", &err));
    assert_ok(catalog_rows_load(temp->db, other, "storms", "id\n2\n", 5, &err));
    assert_ok(catalog_output_add(temp->db, temp->source, 1, &output, &err));
    assert_cells(temp->db, "SELECT * FROM outputs", "k,5,00,table,a/x.csv,b,1");
    assert_ok(catalog_outputs_clear(temp->db, temp->source, &err));
    assert_cells(temp->db, "SELECT id FROM storms", "2");
    assert_cells(temp->db, "SELECT count(*) FROM frames", "0");
    assert_cells(temp->db, "SELECT count(*) FROM outputs", "0");
}

static void a_retired_source_leaves_no_trace_but_definitions(void **state)
{
    struct temp_catalog *temp = *state;
    const struct catalog_output output = {"k", 5, "00", "table"};

    define(temp->db, "raw", columns, 3);
    define(temp->db, "processed", columns, 3);
    assert_ok(catalog_partition_put(temp->db, "raw", "storms", "y=1", "l", temp->source, &err));
    assert_ok(catalog_table_feed(temp->db, "processed", "storms", temp->source, &err));
    assert_ok(load(temp, "storms", "id\n1\n", &err));
    assert_ok(catalog_output_add(temp->db, temp->source, 1, &output, &err));
    assert_ok(catalog_source_retire(temp->db, temp->source, &err));
    assert_cells(temp->db,
                 "SELECT (SELECT count(*) FROM storms), (SELECT count(*) FROM partitions),"
                 " (SELECT count(*) FROM output_rows), (SELECT count(*) FROM sources),"
                 " (SELECT count(*) FROM tables)",
                 "0,0,0,0,2");
    assert_ok(catalog_source_retire(temp->db, 0, &err));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, temp_catalog_open, temp_catalog_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(rows_are_typed_by_the_data_catalog_and_show_without_their_source),
        TEST(numbers_read_back_to_the_very_same_double),
        TEST(pieces_of_a_file_add_up),
        TEST(a_column_that_widened_converts_the_rows_that_are_there),
        TEST(a_column_without_values_becomes_what_its_first_values_are),
        TEST(a_column_that_nobody_announced_is_a_string),
        TEST(frames_have_their_columns_and_gain_new_ones),
        TEST(the_columns_of_frames_are_those_of_the_data_catalog),
        TEST(rows_that_do_not_fit_the_header_are_refused),
        TEST(a_name_that_is_ours_cannot_be_a_table_of_rows),
        TEST(names_with_quotes_are_names),
        TEST(clearing_a_source_leaves_the_rows_of_others),
        TEST(a_retired_source_leaves_no_trace_but_definitions),
    };
    return cmocka_run_group_tests_name("catalog_rows", tests, NULL, NULL);
}
