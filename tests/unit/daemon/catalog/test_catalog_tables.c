#include "tests/unit/daemon/catalog/temp_catalog.h"

#include "daemon/catalog/catalog_due.h"
#include "daemon/catalog/catalog_show.h"
#include "lib/base/mem.h"

static int64_t put(struct db *db, const struct catalog_column *columns, unsigned count)
{
    const struct catalog_table table = {
        .database = "raw",
        .name = "storms",
        .format = "csv",
        .location = "file:///raw",
        .columns = columns,
        .column_count = count,
    };
    int64_t version = 0;

    assert_ok(catalog_table_put(db, &table, &version, &err));
    return version;
}

static const struct catalog_column two[] = {{"id", "bigint", "ID"}, {"at", "timestamp", NULL}};

static void the_same_columns_again_are_no_new_version(void **state)
{
    struct temp_catalog *temp = *state;

    assert_int_equal(put(temp->db, two, 2), 1);
    assert_int_equal(put(temp->db, two, 2), 1);
    assert_int_equal(put(temp->db, two, 1), 1); /* a file that lacks a column changes nothing */
    assert_cells(temp->db, "SELECT version, change FROM table_versions",
                 "1,created with 2 columns");
}

static void a_new_column_makes_a_version_that_names_it(void **state)
{
    struct temp_catalog *temp = *state;
    const struct catalog_column other[] = {{"id", "bigint", NULL}, {"note", "string", NULL}};

    put(temp->db, two, 2);
    assert_int_equal(put(temp->db, other, 2), 2);
    assert_cells(temp->db, "SELECT change FROM table_versions WHERE version = 2",
                 "added column 'note' string");
    assert_cells(temp->db, "SELECT name, type FROM columns ORDER BY position",
                 "id,bigint;at,timestamp;note,string");
}

static void types_widen_and_the_version_says_from_what_to_what(void **state)
{
    struct temp_catalog *temp = *state;
    const struct catalog_column wide[] = {{"id", "double", NULL}, {"at", "bigint", NULL}};

    put(temp->db, two, 2);
    put(temp->db, wide, 2);
    assert_cells(temp->db, "SELECT change FROM table_versions WHERE version = 2",
                 "column 'id' bigint -> double; column 'at' timestamp -> string");
    assert_int_equal(put(temp->db, two, 2), 2); /* never narrower again */
}

static void a_column_without_values_takes_the_first_type_that_comes(void **state)
{
    struct temp_catalog *temp = *state;
    const struct catalog_column empty[] = {{"id", "", NULL}, {"at", "timestamp", NULL}};

    put(temp->db, empty, 2);
    assert_int_equal(put(temp->db, two, 2), 2);
    assert_cells(temp->db, "SELECT change FROM table_versions WHERE version = 2",
                 "column 'id' string -> bigint");
    assert_int_equal(put(temp->db, empty, 2), 2);
    assert_cells(temp->db, "SELECT type FROM columns ORDER BY position", "bigint;timestamp");
}

static void a_type_of_arrays_is_replaced_by_the_newest(void **state)
{
    struct temp_catalog *temp = *state;
    const struct catalog_column was[] = {{"vil", "array<smallint>", NULL}};
    const struct catalog_column is[] = {{"vil", "array<float>", NULL}};

    put(temp->db, was, 1);
    put(temp->db, is, 1);
    assert_cells(temp->db, "SELECT type FROM columns", "array<float>");
}

static void a_partition_stays_while_anything_feeds_it(void **state)
{
    struct temp_catalog *temp = *state;
    int64_t other;

    put(temp->db, two, 2);
    assert_ok(catalog_source(temp->db, "b", "other", &other, &err));
    assert_int_not_equal(other, temp->source);
    for (int again = 0; again < 2; again++) {
        assert_ok(
            catalog_partition_put(temp->db, "raw", "storms", "year=2019", "l", temp->source, &err));
        assert_ok(catalog_partition_put(temp->db, "raw", "storms", "year=2019", "l", other, &err));
    }
    assert_ok(
        catalog_partition_put(temp->db, "raw", "storms", "year=2018", "l", temp->source, &err));
    assert_ok(catalog_source_forget(temp->db, "raw", temp->source, &err));
    assert_cells(temp->db, "SELECT \"values\" FROM partitions", "year=2019");
    assert_ok(catalog_source_forget(temp->db, "processed", other, &err));
    assert_cells(temp->db, "SELECT \"values\" FROM partitions", "year=2019");
    assert_ok(catalog_source_forget(temp->db, NULL, other, &err));
    assert_cells(temp->db, "SELECT count(*) FROM partitions", "0");
}

static void a_partition_of_no_table_is_refused(void **state)
{
    struct temp_catalog *temp = *state;

    assert_int_equal(
        catalog_partition_put(temp->db, "raw", "none", "year=1", "l", temp->source, &err),
        RC_NOT_FOUND);
    assert_string_equal(err.text, "partition 'year=1': no table 'raw.none'");
}

static void a_key_that_would_name_one_of_our_tables_gets_a_suffix(void **state)
{
    (void)state;
    static const struct {
        const char *key, *name;
    } cases[] = {
        {"a/StormEvents.csv", "stormevents"},
        {"catalog.csv", "catalog_csv"},
        {"vil.csv", "vil_csv"},
        {"order.csv", "order_csv"},
        {"partitions.csv", "partitions_csv"},
    };

    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        scoped(free) char *name = catalog_table_name(cases[i].key, "_csv");

        assert_string_equal(name, cases[i].name);
    }
}

static void a_csv_schema_comes_back_for_its_version_only(void **state)
{
    struct temp_catalog *temp = *state;
    scoped(arena_free) struct arena *arena = arena_new();
    const struct catalog_csv_schema schema = {
        .table = "storms",
        .dialect = {.delimiter = ';', .gzip = true},
        .header = true,
        .rows = 7,
        .column_count = 2,
        .columns = two,
    };
    struct catalog_csv_schema back;

    assert_ok(catalog_csv_schema_put(temp->db, temp->source, "e1", &schema, &err));
    assert_ok(catalog_csv_schema_put(temp->db, temp->source, "e2", &schema, &err));
    assert_int_equal(catalog_csv_schema_get(temp->db, temp->source, "e1", arena, &back, &err),
                     RC_NOT_FOUND);
    assert_ok(catalog_csv_schema_get(temp->db, temp->source, "e2", arena, &back, &err));
    assert_string_equal(back.table, "storms");
    assert_int_equal(back.dialect.delimiter, ';');
    assert_true(back.dialect.gzip && back.header && !back.dialect.bom);
    assert_int_equal(back.rows, 7);
    assert_int_equal(back.column_count, 2);
    assert_string_equal(back.columns[0].comment, "ID");
    assert_string_equal(back.columns[1].type, "timestamp");
    assert_null(back.columns[1].comment);
}

static void a_layout_comes_back_for_its_version_only(void **state)
{
    struct temp_catalog *temp = *state;
    const struct layout_dataset dataset = {
        .name = "vil",
        .dtype = {.class_ = LAYOUT_INTEGER, .size = 1, .plain = true, .text = "uint8"},
        .rank = 2,
        .dims = {3, 4},
        .storage = LAYOUT_CONTIGUOUS,
        .address = 2048,
        .size = 12,
    };
    const struct layout layout = {.file_size = 4096, .dataset_count = 1, .datasets = &dataset};
    scoped(strbuf_done) struct strbuf bytes = {0};
    scoped(layout_free) struct layout *back = NULL;

    layout_encode(&layout, &bytes);
    assert_ok(catalog_layout_put(temp->db, temp->source, "e1", bytes.data, bytes.len, &err));
    assert_int_equal(catalog_layout_get(temp->db, temp->source, "e0", &back, &err), RC_NOT_FOUND);
    assert_ok(catalog_layout_get(temp->db, temp->source, "e1", &back, &err));
    assert_int_equal(back->datasets[0].address, 2048);
    assert_cells(temp->db, "SELECT summary FROM layouts", "vil uint8 3x4 contiguous at 2048");
}

static void a_layout_that_is_no_layout_is_not_kept(void **state)
{
    struct temp_catalog *temp = *state;

    assert_int_equal(catalog_layout_put(temp->db, temp->source, "e", "garbage", 7, &err),
                     RC_CORRUPT);
    assert_cells(temp->db, "SELECT count(*) FROM layouts", "0");
}

/** Of another catalog, which repeats a table's description in each partition. */
static void what_is_quoted_once_stays_so_and_all_of_the_table_is_due(void **state)
{
    struct temp_catalog *temp = *state;
    struct catalog_table table = {.database = "processed",
                                  .name = "storms",
                                  .format = "csv",
                                  .location = "s3://p/storms",
                                  .columns = two,
                                  .column_count = 2};
    scoped(arena_free) struct arena *arena = arena_new();
    struct catalog_due due;
    int64_t version = 0;

    assert_ok(catalog_table_put(temp->db, &table, &version, &err));
    assert_ok(catalog_partition_put(temp->db, "processed", "storms", "year=2019", "l", temp->source,
                                    &err));
    assert_ok(catalog_due_read(temp->db, arena, &due, &err));
    assert_int_equal(due.count, 2);
    assert_false(due.table.quoted);
    assert_ok(catalog_due_done(temp->db, due.parts, due.count, &err));

    table.quoted = true;
    assert_ok(catalog_table_put(temp->db, &table, &version, &err));
    assert_int_equal(version, 2);
    assert_cells(temp->db, "SELECT change FROM table_versions WHERE version = 2",
                 "fields are quoted");
    assert_ok(catalog_due_read(temp->db, arena, &due, &err));
    assert_int_equal(due.count, 2);
    assert_string_equal(due.parts[1].values, "year=2019");
    assert_true(due.table.quoted);

    table.quoted = false;
    assert_ok(catalog_table_put(temp->db, &table, &version, &err));
    assert_int_equal(version, 2);
    assert_ok(catalog_due_read(temp->db, arena, &due, &err));
    assert_true(due.table.quoted);
}

static void tables_and_one_table_are_json(void **state)
{
    struct temp_catalog *temp = *state;
    scoped(strbuf_done) struct strbuf all = {0}, one = {0};

    put(temp->db, two, 2);
    assert_ok(
        catalog_partition_put(temp->db, "raw", "storms", "year=2019", "l", temp->source, &err));
    assert_ok(catalog_tables_json(temp->db, &all, &err));
    assert_non_null(strstr(all.data, "\"name\":\"storms\",\"format\":\"csv\""));
    assert_non_null(strstr(all.data, "\"version\":1,\"columns\":2,\"partitions\":1,\"objects\":1"));
    assert_ok(catalog_table_json(temp->db, "raw.storms", &one, &err));
    assert_non_null(strstr(one.data, "{\"name\":\"id\",\"type\":\"bigint\",\"comment\":\"ID\"}"));
    assert_non_null(strstr(one.data, "\"values\":\"year=2019\""));
    assert_non_null(strstr(one.data, "\"change\":\"created with 2 columns\"}]"));
    assert_non_null(strstr(one.data, "\"key\":\"a/x.csv\""));
    assert_int_equal(catalog_table_json(temp->db, "strms", &one, &err), RC_NOT_FOUND);
    assert_string_equal(err.text, "no table 'strms', did you mean 'storms'?");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, temp_catalog_open, temp_catalog_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_same_columns_again_are_no_new_version),
        TEST(a_new_column_makes_a_version_that_names_it),
        TEST(types_widen_and_the_version_says_from_what_to_what),
        TEST(a_column_without_values_takes_the_first_type_that_comes),
        TEST(a_type_of_arrays_is_replaced_by_the_newest),
        TEST(a_partition_stays_while_anything_feeds_it),
        TEST(a_partition_of_no_table_is_refused),
        TEST(a_key_that_would_name_one_of_our_tables_gets_a_suffix),
        TEST(a_csv_schema_comes_back_for_its_version_only),
        TEST(a_layout_comes_back_for_its_version_only),
        TEST(a_layout_that_is_no_layout_is_not_kept),
        TEST(what_is_quoted_once_stays_so_and_all_of_the_table_is_due),
        TEST(tables_and_one_table_are_json),
    };
    return cmocka_run_group_tests_name("catalog_tables", tests, NULL, NULL);
}
