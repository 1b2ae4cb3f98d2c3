/** @file
 * The ledger of an object, a set of keys in state.db, and drafts: what is of any length there.
 */
#include "tests/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/job/job_draft.h"
#include "daemon/job/job_ledger.h"
#include "daemon/job/job_p.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/db/migrate.h"

static struct db *db;

static int open_db(void **state)
{
    struct err err;

    (void)state;
    if (db_open(":memory:", DB_READ_WRITE, false, &db, &err) != RC_OK ||
        migrate(db, "memory", job_schema_steps, job_schema_step_count, &err) != RC_OK ||
        db_exec(db, "PRAGMA foreign_keys = 0", &err) != RC_OK) { /* of no object or job at all */
        print_error("%s\n", err.text);
        return 1;
    }
    return 0;
}

static int close_db(void **state)
{
    (void)state;
    db_close(db);
    return 0;
}

static int64_t rows(const char *sql)
{
    struct err err;
    struct db_stmt *q = db_prepare(db, sql, &err);

    assert_non_null(q);
    assert_true(db_step(q, &err));
    const int64_t count = db_int(q, 0);

    db_reset(q);
    return count;
}

static void it_is_a_set_that_grows(void **state)
{
    const char *const first[] = {"b", "a\nnewline", "b"}, *const second[] = {"c", "aa", "b"};
    scoped(job_ledger_free) struct job_ledger *ledger = NULL;
    struct err err;

    (void)state;
    assert_int_equal(job_ledger_add(db, 7, first, 3, &err), RC_OK);
    assert_int_equal(job_ledger_add(db, 7, second, 3, &err), RC_OK);
    assert_int_equal(job_ledger_read(db, 7, &ledger, &err), RC_OK);
    assert_int_equal(ledger->count, 4);
    assert_string_equal(ledger->keys[0], "a\nnewline");
    assert_string_equal(ledger->keys[1], "aa");
    assert_string_equal(ledger->keys[2], "b");
    assert_string_equal(ledger->keys[3], "c");
}

static void keys_that_are_noted_already_are_not_written_again(void **state)
{
    const char *const keys[] = {"b", "a"};
    struct err err;

    (void)state;
    assert_int_equal(job_ledger_add(db, 7, keys, 2, &err), RC_OK);
    const int64_t changes = rows("SELECT total_changes()");

    assert_int_equal(job_ledger_add(db, 7, keys, 2, &err), RC_OK);
    assert_int_equal(job_ledger_add(db, 7, keys, 0, &err), RC_OK);
    assert_int_equal(rows("SELECT total_changes()"), changes);
}

static void each_object_has_its_own(void **state)
{
    const char *const keys[] = {"k"};
    scoped(job_ledger_free) struct job_ledger *other = NULL, *gone = NULL;
    struct err err;

    (void)state;
    assert_int_equal(job_ledger_add(db, 7, keys, 1, &err), RC_OK);
    assert_int_equal(job_ledger_read(db, 8, &other, &err), RC_OK);
    assert_int_equal(other->count, 0);
    assert_int_equal(job_ledger_remove(db, 8, &err), RC_OK); /* none there is no error */
    assert_int_equal(job_ledger_remove(db, 7, &err), RC_OK);
    assert_int_equal(job_ledger_read(db, 7, &gone, &err), RC_OK);
    assert_int_equal(gone->count, 0);
    assert_int_equal(rows("SELECT count(*) FROM ledgers"), 0);
}

static void a_draft_of_any_length_reads_back_and_can_be_removed(void **state)
{
    static const size_t lengths[] = {1, 3, 262143, 262144, 262145, 3000001};
    struct err err;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        scoped(free) char *bytes = mem_resize(NULL, lengths[i], 1);
        scoped(free) char *back = NULL;
        size_t len = 0;

        for (size_t at = 0; at < lengths[i]; at++) {
            bytes[at] = (char)(at * 2654435761u >> 13);
        }
        assert_int_equal(job_draft_put(db, 7, "an older, longer or shorter one", 31, &err), RC_OK);
        assert_int_equal(job_draft_put(db, 7, bytes, lengths[i], &err), RC_OK);
        assert_int_equal(job_draft_read(db, 7, &back, &len, &err), RC_OK);
        assert_int_equal(len, lengths[i]);
        assert_memory_equal(back, bytes, len);
        assert_int_equal(back[len], '\0');
        assert_true(rows("SELECT max(length(bytes)) FROM drafts") <= 262144);
    }
    char *none = NULL;
    size_t len = 0;

    assert_int_equal(job_draft_remove(db, 7, &err), RC_OK);
    assert_int_equal(job_draft_read(db, 7, &none, &len, &err), RC_NOT_FOUND);
    assert_int_equal(rows("SELECT count(*) FROM drafts"), 0);
}

static void a_length_that_cannot_be_is_refused(void **state)
{
    char *bytes = NULL;
    size_t len;
    struct err err;

    (void)state;
    /* What the table would say of a gigabyte and more, which nobody writes for it. */
    assert_int_equal(db_exec(db,
                             "CREATE TEMP VIEW drafts(job, part, bytes) AS"
                             " WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n"
                             "  WHERE i < 1100)"
                             " SELECT 9, i, zeroblob(1000000) FROM n",
                             &err),
                     RC_OK);
    assert_int_equal(job_draft_read(db, 9, &bytes, &len, &err), RC_CORRUPT);
    assert_null(bytes);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, open_db, close_db)
    const struct CMUnitTest tests[] = {
        T(it_is_a_set_that_grows),
        T(keys_that_are_noted_already_are_not_written_again),
        T(each_object_has_its_own),
        T(a_draft_of_any_length_reads_back_and_can_be_removed),
        T(a_length_that_cannot_be_is_refused),
    };
    return cmocka_run_group_tests_name("job_ledger", tests, NULL, NULL);
}
