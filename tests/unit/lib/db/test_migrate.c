/** @file
 * Upgrades: each step whole or not at all, and never downwards.
 */
#include "tests/unit.h"

#include <string.h>

#include "lib/db/migrate.h"

static struct db *db;

static int set_up(void **state)
{
    struct err err;

    return db_open(":memory:", DB_READ_WRITE, false, &db, &err) != RC_OK;
}

static int tear_down(void **state)
{
    db_close(db);
    return 0;
}

static int64_t ask(const char *sql)
{
    struct err err;
    struct db_stmt *stmt = db_prepare(db, sql, &err);
    int64_t answer;

    assert_non_null(stmt);
    assert_true(db_step(stmt, &err));
    answer = db_int(stmt, 0);
    db_reset(stmt);
    return answer;
}

static const char *const steps[] = {
    "CREATE TABLE a (x); INSERT INTO a VALUES (1)",
    "ALTER TABLE a ADD COLUMN y DEFAULT 5",
    "INSERT INTO a VALUES (2, 6)",
};

static void an_empty_file_takes_every_step(void **state)
{
    struct err err;

    assert_int_equal(migrate(db, "test.db", steps, 3, &err), RC_OK);
    assert_int_equal(ask("PRAGMA user_version"), 3);
    assert_int_equal(ask("SELECT sum(y) FROM a"), 11);
}

static void an_older_file_takes_the_steps_it_lacks(void **state)
{
    struct err err;

    assert_int_equal(migrate(db, "test.db", steps, 2, &err), RC_OK);
    assert_int_equal(ask("SELECT count(*) FROM a"), 1);
    assert_int_equal(migrate(db, "test.db", steps, 3, &err), RC_OK);
    assert_int_equal(migrate(db, "test.db", steps, 3, &err), RC_OK); /* Nothing more to do. */
    assert_int_equal(ask("SELECT count(*) FROM a"), 2);
}

static void a_newer_file_is_refused_and_left_alone(void **state)
{
    struct err err;

    assert_int_equal(migrate(db, "test.db", steps, 3, &err), RC_OK);
    assert_int_equal(migrate(db, "test.db", steps, 1, &err), RC_UNSUPPORTED);
    assert_non_null(strstr(err.text, "'test.db' has version 3"));
    assert_non_null(strstr(err.text, "up to 1"));
    assert_int_equal(ask("PRAGMA user_version"), 3);
}

static void a_step_that_fails_is_undone_whole(void **state)
{
    static const char *const broken[] = {"CREATE TABLE a (x)",
                                         "CREATE TABLE b (x); INSERT INTO nowhere VALUES (1)"};
    struct err err;

    assert_int_equal(migrate(db, "test.db", broken, 2, &err), RC_INVALID);
    assert_string_equal(err.text, "upgrade 'test.db' from version 1 to 2: no such table: nowhere");
    assert_int_equal(ask("PRAGMA user_version"), 1);
    assert_int_equal(ask("SELECT count(*) FROM sqlite_schema WHERE name = 'b'"), 0);
    assert_int_equal(migrate(db, "test.db", steps, 1, &err), RC_OK); /* No transaction is open. */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_empty_file_takes_every_step),
        TEST(an_older_file_takes_the_steps_it_lacks),
        TEST(a_newer_file_is_refused_and_left_alone),
        TEST(a_step_that_fails_is_undone_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
