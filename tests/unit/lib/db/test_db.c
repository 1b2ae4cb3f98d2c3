/** @file
 * SQLite with our habits; every way it fails has its code.
 */
#include "tests/unit.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/str.h"
#include "lib/db/db.h"

static char path[64];
static struct db *db;

static void remove_files(void)
{
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    char name[80];

    for (size_t i = 0; i < 3; i++) {
        snprintf(name, sizeof(name), "%s%s", path, suffixes[i]);
        unlink(name);
    }
}

static int set_up(void **state)
{
    struct err err;
    int fd;

    snprintf(path, sizeof(path), "/tmp/test_db.XXXXXX");
    fd = mkstemp(path);
    close(fd);
    if (db_open(path, DB_READ_WRITE, true, &db, &err) != RC_OK) {
        return 1;
    }
    return db_exec(db,
                   "CREATE TABLE t (k TEXT PRIMARY KEY, v, n INTEGER NOT NULL DEFAULT 1"
                   " CHECK (n > 0))",
                   &err) != RC_OK;
}

static int tear_down(void **state)
{
    db_close(db);
    remove_files();
    return 0;
}

static enum rc insert(const char *key, struct err *err)
{
    struct db_stmt *stmt = db_prepare(db, "INSERT INTO t (k) VALUES (?)", err);

    assert_non_null(stmt);
    db_bind_text(stmt, 1, key);
    return db_run(stmt, err);
}

static void what_is_bound_is_read(void **state)
{
    struct err err;
    struct db_stmt *stmt = db_prepare(db, "SELECT ?, ?, ?, ?, ?, ?, ?", &err);
    size_t len = 99;

    assert_non_null(stmt);
    db_bind_text(stmt, 1, "text");
    db_bind_text(stmt, 2, NULL);
    db_bind_int(stmt, 3, INT64_MIN);
    db_bind_double(stmt, 4, 0.1);
    db_bind_double(stmt, 5, NAN);
    db_bind_blob(stmt, 6, "a\0b", 3);
    db_bind_blob(stmt, 7, NULL, 0);
    assert_true(db_step(stmt, &err));
    assert_string_equal(db_text(stmt, 0), "text");
    assert_string_equal(db_text(stmt, 1), "");
    assert_true(db_is_null(stmt, 1));
    assert_true(db_int(stmt, 2) == INT64_MIN);
    assert_true(db_double(stmt, 3) == 0.1);
    assert_true(isnan(db_double(stmt, 4)));
    assert_memory_equal(db_blob(stmt, 5, &len), "a\0b", 3);
    assert_int_equal(len, 3);
    db_blob(stmt, 6, &len);
    assert_int_equal(len, 0);
    assert_false(db_is_null(stmt, 6));
    assert_false(db_step(stmt, &err));
    assert_false(db_failed(stmt));
}

static void a_statement_comes_back_clean(void **state)
{
    static const char sql[] = "SELECT ?";
    struct err err;
    struct db_stmt *first = db_prepare(db, sql, &err), *again;

    db_bind_int(first, 1, 7);
    assert_true(db_step(first, &err));
    again = db_prepare(db, sql, &err);
    assert_ptr_equal(first, again);
    assert_true(db_step(again, &err));
    assert_true(db_is_null(again, 0));
    db_reset(again);
}

static void other_text_at_the_same_address_is_prepared_anew(void **state)
{
    char sql[] = "SELECT 1";
    struct err err;
    struct db_stmt *stmt = db_prepare(db, sql, &err);

    assert_true(db_step(stmt, &err));
    db_reset(stmt);
    sql[7] = '2';
    stmt = db_prepare(db, sql, &err);
    assert_true(db_step(stmt, &err));
    assert_int_equal(db_int(stmt, 0), 2);
    db_reset(stmt);
}

static void a_duplicate_is_a_conflict_and_a_broken_rule_is_invalid(void **state)
{
    struct err err;

    assert_int_equal(insert("a", &err), RC_OK);
    assert_int_equal(db_last_id(db), 1);
    assert_int_equal(db_changes(db), 1);
    assert_int_equal(insert("a", &err), RC_CONFLICT);
    assert_non_null(strstr(err.text, "t.k"));
    assert_int_equal(db_exec(db, "INSERT INTO t (k, n) VALUES ('b', 0)", &err), RC_INVALID);
    assert_int_equal(db_exec(db, "SELEC 1", &err), RC_INVALID);
    assert_null(db_prepare(db, "SELECT missing FROM t", &err));
    assert_int_equal(err.rc, RC_INVALID);
    assert_non_null(strstr(err.text, "no such column: missing"));
}

static void an_index_out_of_range_is_our_bug(void **state)
{
    struct err err;
    struct db_stmt *stmt = db_prepare(db, "SELECT ?", &err);

    db_bind_int(stmt, 2, 1);
    assert_false(db_step(stmt, &err));
    assert_true(db_failed(stmt));
    assert_int_equal(err.rc, RC_BUG);
    assert_null(db_prepare(db, "  ", &err));
    assert_int_equal(err.rc, RC_BUG);
}

static void a_statement_that_returns_a_row_unasked_is_our_bug(void **state)
{
    struct err err;

    assert_int_equal(db_run(db_prepare(db, "SELECT 1", &err), &err), RC_BUG);
}

static void a_full_database_is_no_space(void **state)
{
    struct err err;

    assert_int_equal(db_exec(db, "PRAGMA max_page_count = 5", &err), RC_OK);
    assert_int_equal(db_exec(db, "INSERT INTO t (k, v) VALUES ('big', zeroblob(100000))", &err),
                     RC_NO_SPACE);
    assert_int_equal(insert("small", &err), RC_OK);
}

static void a_locked_database_is_a_conflict(void **state)
{
    scoped(db_close) struct db *other = NULL;
    struct err err;

    assert_int_equal(db_open(path, DB_READ_WRITE, false, &other, &err), RC_OK);
    sqlite3_busy_timeout(db_handle(other), 1);
    assert_int_equal(db_exec(db, "BEGIN IMMEDIATE", &err), RC_OK);
    assert_int_equal(db_exec(other, "BEGIN IMMEDIATE", &err), RC_CONFLICT);
    assert_int_equal(db_exec(db, "ROLLBACK", &err), RC_OK);
}

static void a_damaged_file_is_corrupt(void **state)
{
    scoped(db_close) struct db *other = NULL;
    char junk[4096], name[] = "/tmp/test_db_junk.XXXXXX";
    struct err err;
    int fd = mkstemp(name);

    close(fd);
    memset(junk, 'j', sizeof(junk));
    assert_int_equal(fs_write_file(name, junk, sizeof(junk), 0600, &err), RC_OK);
    assert_int_equal(db_open(name, DB_READ_WRITE, true, &other, &err), RC_CORRUPT);
    assert_non_null(strstr(err.text, name));
    assert_int_equal(db_open(name, DB_READ_ONLY, true, &other, &err), RC_CORRUPT);
    assert_null(other);
    unlink(name);
}

static void what_cannot_be_opened_says_why(void **state)
{
    scoped(db_close) struct db *other = NULL;
    struct err err;

    assert_int_equal(db_open("/nonexistent/x.db", DB_READ_WRITE, true, &other, &err), RC_NOT_FOUND);
    assert_non_null(strstr(err.text, "open database '/nonexistent/x.db'"));
    assert_non_null(strstr(err.text, "No such file or directory"));
    assert_null(other);
}

static void a_reader_cannot_write(void **state)
{
    scoped(db_close) struct db *reader = NULL;
    struct err err;

    assert_int_equal(db_open(path, DB_READ_ONLY, false, &reader, &err), RC_OK);
    assert_int_equal(db_exec(reader, "INSERT INTO t (k) VALUES ('x')", &err), RC_DENIED);
    assert_int_equal(db_exec(reader, "PRAGMA query_only = 0; DELETE FROM t", &err), RC_DENIED);
    assert_int_not_equal(
        db_exec(reader, "PRAGMA writable_schema = 1; UPDATE sqlite_schema SET name = 'x'", &err),
        RC_OK);
}

static void settings_are_as_promised(void **state)
{
    struct err err;
    struct db_stmt *stmt = db_prepare(db,
                                      "SELECT (SELECT journal_mode FROM pragma_journal_mode),"
                                      " (SELECT foreign_keys FROM pragma_foreign_keys), (SELECT "
                                      "synchronous FROM pragma_synchronous)",
                                      &err);

    assert_non_null(stmt);
    assert_true(db_step(stmt, &err));
    assert_string_equal(db_text(stmt, 0), "wal");
    assert_int_equal(db_int(stmt, 1), 1);
    assert_int_equal(db_int(stmt, 2), 2); /* FULL */
    db_reset(stmt);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_bound_is_read),
        TEST(a_statement_comes_back_clean),
        TEST(other_text_at_the_same_address_is_prepared_anew),
        TEST(a_duplicate_is_a_conflict_and_a_broken_rule_is_invalid),
        TEST(an_index_out_of_range_is_our_bug),
        TEST(a_statement_that_returns_a_row_unasked_is_our_bug),
        TEST(a_full_database_is_no_space),
        TEST(a_locked_database_is_a_conflict),
        TEST(a_damaged_file_is_corrupt),
        TEST(what_cannot_be_opened_says_why),
        TEST(a_reader_cannot_write),
        TEST(settings_are_as_promised),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
