/** @file
 * What is taken for a statement that only reads.
 */
#include "daemon/catalog/sql_reads.h"

#include <string.h>

#include "tests/unit.h"

static void assert_reads(const char *sql)
{
    struct err err;

    if (sql_check_reads(sql, &err) != RC_OK) {
        fail_msg("'%s': %s", sql, err.text);
    }
}

static void assert_refused(const char *sql, const char *words)
{
    struct err err;

    assert_int_equal(sql_check_reads(sql, &err), RC_INVALID);
    assert_non_null(strstr(err.text, words));
}

static void questions_are_taken(void **state)
{
    (void)state;
    assert_reads("SELECT 1");
    assert_reads("  select*from frames;  ");
    assert_reads("-- what\n/* is */ WITH a AS (SELECT 1) SELECT * FROM a");
    assert_reads("(SELECT 1) UNION (SELECT 2)");
    assert_reads("SHOW TABLES");
    assert_reads("describe frames");
    assert_reads("EXPLAIN SELECT 1");
    assert_reads("EXPLAIN ANALYZE VERBOSE (SELECT 1)");
    assert_reads("EXPLAIN (TYPE DISTRIBUTED, FORMAT JSON) SELECT 1");
    assert_reads("SELECT ';' AS a, \"x;y\", `b;` -- ; that is all\n;;");
    assert_reads("SELECT 'it''s; fine'");
}

static void what_changes_anything_is_refused(void **state)
{
    static const char *const writes[] = {"INSERT INTO a SELECT 1",
                                         "DROP TABLE a",
                                         "CREATE TABLE a AS SELECT 1",
                                         "UNLOAD (SELECT 1) TO 's3://x/'",
                                         "MSCK REPAIR TABLE a",
                                         "DELETE FROM a",
                                         "EXECUTE a",
                                         "PREPARE a FROM SELECT 1",
                                         "EXPLAIN INSERT INTO a SELECT 1",
                                         "EXPLAIN ANALYZE CREATE TABLE a AS SELECT 1",
                                         "EXPLAIN",
                                         "SELECTED",
                                         "(((",
                                         "/* SELECT */ DROP TABLE a",
                                         "VACUUM a",
                                         "'SELECT 1'",
                                         "\xff"};

    (void)state;
    for (unsigned i = 0; i < sizeof(writes) / sizeof(writes[0]); i++) {
        assert_refused(writes[i], SQL_ONLY_READS);
    }
}

static void one_statement_at_a_time(void **state)
{
    (void)state;
    assert_refused("SELECT 1; DROP TABLE a", "one statement at a time");
    assert_refused("SELECT ';'; SELECT 2", "one statement at a time");
    assert_refused("SELECT 1 /* ; */ ; -- \n x", "one statement at a time");
}

static void nothing_is_no_statement(void **state)
{
    (void)state;
    assert_refused("", "no SQL statement");
    assert_refused(" -- SELECT 1", "no SQL statement");
    assert_refused("/* never closed", "no SQL statement");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(questions_are_taken),
        cmocka_unit_test(what_changes_anything_is_refused),
        cmocka_unit_test(one_statement_at_a_time),
        cmocka_unit_test(nothing_is_no_statement),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
