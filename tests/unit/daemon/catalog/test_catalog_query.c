#include "tests/unit/daemon/catalog/temp_catalog.h"

#include "daemon/catalog/catalog_outputs.h"
#include "daemon/catalog/catalog_query.h"

static enum rc run(struct temp_catalog *temp, const struct catalog_query *query, struct strbuf *out,
                   struct catalog_query_result *result, struct err *ret_err)
{
    strbuf_reset(out);
    return catalog_query_run(temp->db, query, out, result, ret_err);
}

static void assert_answer(struct temp_catalog *temp, const char *sql, const char *expected)
{
    scoped(strbuf_done) struct strbuf out = {0};
    struct catalog_query_result result;

    assert_ok(run(temp, &(struct catalog_query){.sql = sql}, &out, &result, &err));
    assert_string_equal(strbuf_text(&out), expected);
}

static void assert_refused(struct temp_catalog *temp, const char *sql, const char *expected)
{
    scoped(strbuf_done) struct strbuf out = {0};
    struct catalog_query_result result;

    assert_int_equal(run(temp, &(struct catalog_query){.sql = sql}, &out, &result, &err),
                     RC_INVALID);
    assert_string_equal(err.text, expected);
    assert_int_equal(out.len, 0);
}

static void an_answer_is_json_with_columns_types_and_typed_cells(void **state)
{
    assert_answer(*state,
                  "SELECT 1 AS a, 2.5 AS b, 'x\"y' AS c, NULL AS d, x'0aff' AS e, 9e999 AS f",
                  "{\"columns\":[\"a\",\"b\",\"c\",\"d\",\"e\",\"f\"],"
                  "\"types\":[\"bigint\",\"double\",\"string\",\"string\",\"string\",\"double\"],"
                  "\"rows\":[[1,2.5,\"x\\\"y\",null,\"0aff\",null]],\"truncated\":false}");
    assert_answer(*state, "SELECT time_utc, frame, mean, image FROM frames -- nothing yet\n;  ",
                  "{\"columns\":[\"time_utc\",\"frame\",\"mean\",\"image\"],"
                  "\"types\":[\"timestamp\",\"bigint\",\"double\",\"string\"],"
                  "\"rows\":[],\"truncated\":false}");
}

static void an_answer_can_be_csv(void **state)
{
    struct temp_catalog *temp = *state;
    scoped(strbuf_done) struct strbuf out = {0};
    struct catalog_query_result result;
    const struct catalog_query query = {.sql = "SELECT 1 AS a, NULL AS b, 'x,y' AS c",
                                        .format = CATALOG_CSV};

    assert_ok(run(temp, &query, &out, &result, &err));
    assert_string_equal(out.data, "a,b,c\n1,,\"x,y\"\n");
    assert_int_equal(result.rows, 1);
    assert_int_equal(result.columns, 3);
}

static void rows_and_bytes_are_bounded_and_the_answer_says_so(void **state)
{
    struct temp_catalog *temp = *state;
    scoped(strbuf_done) struct strbuf out = {0};
    struct catalog_query_result result;
    struct catalog_query query = {
        .sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n",
        .max_rows = 3,
    };

    assert_ok(run(temp, &query, &out, &result, &err));
    assert_true(result.truncated);
    assert_non_null(strstr(out.data, "\"rows\":[[1],[2],[3]],\"truncated\":true}"));
    query.max_rows = 0;
    assert_ok(run(temp, &query, &out, &result, &err));
    assert_int_equal(result.rows, CATALOG_QUERY_ROWS);
    query.max_bytes = 100;
    assert_ok(run(temp, &query, &out, &result, &err));
    assert_true(result.truncated && result.rows < 50);
}

static void only_reading_is_possible(void **state)
{
    static const char only_reads[] = "a query only reads: write SELECT or WITH ... SELECT";

    assert_refused(*state, "DELETE FROM sources", only_reads);
    assert_refused(*state, "DELETE FROM events", only_reads);
    assert_refused(*state, "UPDATE frames SET id = 1", only_reads);
    assert_refused(*state, "INSERT INTO sources (bucket, key) VALUES ('a', 'b')", only_reads);
    assert_refused(*state, "CREATE TEMP TABLE t (a)", only_reads);
    assert_refused(*state, "DROP VIEW events", only_reads);
    assert_refused(*state, "VACUUM", only_reads);
    assert_refused(*state, "ATTACH '/tmp/x' AS x", "a query cannot attach or detach databases");
    assert_refused(*state, "BEGIN", "a query cannot begin or end transactions");
    assert_refused(*state, "PRAGMA query_only = 0",
                   "pragma 'query_only' is not allowed in a query");
    assert_refused(*state, "SELECT load_extension('x')",
                   "function 'load_extension' is not allowed in a query");
    assert_refused(*state, "SELECT length(randomblob(1000000000))",
                   "function 'randomblob' is not allowed in a query");
    assert_cells(((struct temp_catalog *)*state)->db, "SELECT count(*) FROM sources", "1");
}

static void one_statement_and_not_none(void **state)
{
    assert_refused(*state, "", "there is no SQL statement in the query");
    assert_refused(*state, " ; -- only a comment", "there is no SQL statement in the query");
    assert_refused(*state, "SELECT 1; SELECT 2",
                   "one statement at a time: there is more after the first");
    assert_refused(*state, "SELECT 1; DROP TABLE sources",
                   "one statement at a time: there is more after the first");
    assert_refused(*state, "SELECT ?", "a query takes no parameters: write values into it");
}

static void errors_are_in_the_words_of_sql(void **state)
{
    assert_refused(*state, "SELEC 1", "near \"SELEC\": syntax error");
    assert_refused(*state, "SELECT absent FROM events", "no such column: absent");
    assert_refused(*state, "SELECT 1 FROM nowhere",
                   "no such table: nowhere; 'SELECT \"database\", name FROM tables' lists what "
                   "there is");
}

static void a_harmless_pragma_tells_the_columns(void **state)
{
    struct temp_catalog *temp = *state;
    scoped(strbuf_done) struct strbuf out = {0};
    struct catalog_query_result result;

    assert_ok(run(temp, &(struct catalog_query){.sql = "PRAGMA table_info(events)"}, &out, &result,
                  &err));
    assert_int_equal(result.rows, 24);
}

static void a_huge_value_is_refused_and_the_connection_lives_on(void **state)
{
    struct temp_catalog *temp = *state;
    scoped(strbuf_done) struct strbuf out = {0};
    struct catalog_query_result result;
    const struct catalog_query query = {
        .sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 100)"
               " SELECT group_concat(printf('%.*c', 1000000, 'x')) FROM n"};

    assert_int_equal(run(temp, &query, &out, &result, &err), RC_LIMIT);
    assert_int_equal(out.len, 0);
    assert_answer(
        temp, "SELECT 1 AS a",
        "{\"columns\":[\"a\"],\"types\":[\"bigint\"],\"rows\":[[1]],\"truncated\":false}");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, temp_catalog_open, temp_catalog_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_answer_is_json_with_columns_types_and_typed_cells),
        TEST(an_answer_can_be_csv),
        TEST(rows_and_bytes_are_bounded_and_the_answer_says_so),
        TEST(only_reading_is_possible),
        TEST(one_statement_and_not_none),
        TEST(errors_are_in_the_words_of_sql),
        TEST(a_harmless_pragma_tells_the_columns),
        TEST(a_huge_value_is_refused_and_the_connection_lives_on),
    };
    return cmocka_run_group_tests_name("catalog_query", tests, NULL, NULL);
}
