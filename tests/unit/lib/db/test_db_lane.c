/** @file
 * Groups of writes, and reads with a limit, as the loop sees them.
 */
#include "tests/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/db/db_lane.h"

enum { MANY = 1000 };

struct write {
    int value;
    enum rc answer;   /**< What the write itself says. */
    const char *also; /**< SQL run first. */
    enum rc outcome;
    unsigned told;
};

static char path[64];
static struct loop *loop;
static struct work *work;
static struct db_lane *writer, *reader;
static int last_told;
static bool in_order;

static void remove_files(void)
{
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    char name[80];

    for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
        snprintf(name, sizeof(name), "%s%s", path, suffixes[i]);
        unlink(name);
    }
}

static int set_up(void **state)
{
    static const unsigned widths[WORK_LANE_COUNT] = {1, 1, 2, 1, 1};
    struct db *db = NULL;
    struct err err;

    snprintf(path, sizeof(path), "/tmp/test_db_lane.XXXXXX");
    close(mkstemp(path));
    if (db_open(path, DB_READ_WRITE, true, &db, &err) != RC_OK ||
        db_exec(db,
                "CREATE TABLE t (v INTEGER PRIMARY KEY);"
                "CREATE TABLE parent (id INTEGER PRIMARY KEY);"
                "CREATE TABLE child (p REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED)",
                &err) != RC_OK) {
        return 1;
    }
    sqlite3_busy_timeout(db_handle(db), 20);
    loop = loop_new();
    work = work_new(loop, widths);
    writer = db_lane_new_writer(loop, work, WORK_STATE, db);
    reader = db_lane_new_reader(loop, work, path, NULL, 50);
    last_told = 0;
    in_order = true;
    return 0;
}

static int tear_down(void **state)
{
    db_lane_free(writer);
    db_lane_free(reader);
    work_free(work);
    loop_free(loop);
    remove_files();
    return 0;
}

static enum rc do_write(struct db *db, void *arg, struct err *err)
{
    struct write *write = arg;
    struct db_stmt *stmt;

    if (write->also != NULL && db_exec(db, write->also, err) != RC_OK) {
        return err->rc;
    }
    stmt = db_prepare(db, "INSERT INTO t VALUES (?)", err);
    if (stmt == NULL) {
        return err->rc;
    }
    db_bind_int(stmt, 1, write->value);
    if (db_run(stmt, err) != RC_OK) {
        return err->rc;
    }
    return write->answer == RC_OK ? RC_OK : err_set(err, write->answer, "scripted");
}

static void on_written(const struct err *err, void *arg)
{
    struct write *write = arg;

    write->told++;
    write->outcome = err == NULL ? RC_OK : err->rc;
    in_order = in_order && write->value > last_told;
    last_told = write->value;
}

static void submit(struct write *write)
{
    db_lane_submit(writer, do_write, on_written, write);
}

/** How many rows there are, by a connection of its own. */
static int64_t count_rows(void)
{
    scoped(db_close) struct db *db = NULL;
    struct err err;
    struct db_stmt *stmt;
    int64_t count;

    assert_int_equal(db_open(path, DB_READ_ONLY, false, &db, &err), RC_OK);
    stmt = db_prepare(db, "SELECT count(*) FROM t", &err);
    assert_non_null(stmt);
    assert_true(db_step(stmt, &err));
    count = db_int(stmt, 0);
    db_reset(stmt);
    return count;
}

static void a_burst_costs_one_commit(void **state)
{
    static struct write writes[MANY];

    for (int i = 0; i < MANY; i++) {
        writes[i] = (struct write){.value = i + 1};
        submit(&writes[i]);
    }
    assert_int_equal(db_lane_pending(writer), MANY);
    assert_int_equal(last_told, 0); /* Always later. */
    loop_run(loop);
    assert_int_equal(db_lane_commits(writer), 1);
    assert_int_equal(db_lane_pending(writer), 0);
    assert_int_equal(count_rows(), MANY);
    assert_true(in_order);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(writes[i].told, 1);
        assert_int_equal(writes[i].outcome, RC_OK);
    }
}

static void turn(void)
{
    for (unsigned i = 0; i < 3; i++) {
        uv_run(loop_uv(loop), UV_RUN_NOWAIT);
    }
}

static void a_commit_waits_for_company(void **state)
{
    static struct write writes[6];
    struct gather *gather = gather_new(loop, 3600 * 1000);

    db_lane_gather(writer, gather);
    gather_at_work(gather, 5);
    for (int i = 0; i < 4; i++) {
        writes[i] = (struct write){.value = i + 1};
        submit(&writes[i]);
        turn();
        assert_int_equal(work_running(work, WORK_STATE) + db_lane_commits(writer), 0);
    }
    writes[4] = (struct write){.value = 5};
    submit(&writes[4]);
    loop_run(loop);
    assert_int_equal(db_lane_commits(writer), 1);
    assert_int_equal(count_rows(), 5);
    gather_at_work(gather, 1); /* and alone it does not */
    writes[5] = (struct write){.value = 6};
    submit(&writes[5]);
    loop_run(loop);
    assert_int_equal(db_lane_commits(writer), 2);
    assert_int_equal(writes[5].told, 1);
    assert_true(in_order);
    db_lane_free(TAKE(writer));
    gather_free(gather);
}

static void check_visible(const struct err *err, void *arg)
{
    assert_null(err);
    assert_int_equal(count_rows(), 1);
    *(bool *)arg = true;
}

static enum rc insert_one(struct db *db, void *arg, struct err *err)
{
    return db_exec(db, "INSERT INTO t VALUES (1)", err);
}

static void durable_before_told(void **state)
{
    bool told = false;

    db_lane_submit(writer, insert_one, check_visible, &told);
    loop_run(loop);
    assert_true(told);
}

static void one_that_fails_is_undone_alone(void **state)
{
    struct write writes[] = {{.value = 1},
                             {.value = 2, .answer = RC_INVALID},
                             {.value = 3},
                             {.value = 3}, /* A duplicate. */
                             {.value = 5}};

    for (size_t i = 0; i < ARRAY_LEN(writes); i++) {
        submit(&writes[i]);
    }
    loop_run(loop);
    assert_int_equal(writes[0].outcome, RC_OK);
    assert_int_equal(writes[1].outcome, RC_INVALID);
    assert_int_equal(writes[2].outcome, RC_OK);
    assert_int_equal(writes[3].outcome, RC_CONFLICT);
    assert_int_equal(writes[4].outcome, RC_OK);
    assert_int_equal(count_rows(), 3);
    assert_int_equal(db_lane_commits(writer), 1);
}

static void a_commit_that_fails_fails_every_write_in_it(void **state)
{
    struct write writes[] = {
        {.value = 1}, {.value = 2, .also = "INSERT INTO child VALUES (404)"}, {.value = 3}};
    struct write after = {.value = 4};

    for (size_t i = 0; i < ARRAY_LEN(writes); i++) {
        submit(&writes[i]);
    }
    loop_run(loop);
    for (size_t i = 0; i < ARRAY_LEN(writes); i++) {
        assert_int_equal(writes[i].outcome, RC_INVALID); /* The foreign key is seen by COMMIT. */
        assert_int_equal(writes[i].told, 1);
    }
    assert_int_equal(db_lane_commits(writer), 0);
    assert_int_equal(count_rows(), 0);
    submit(&after);
    loop_run(loop);
    assert_int_equal(after.outcome, RC_OK);
    assert_int_equal(count_rows(), 1);
}

static void a_write_that_ends_the_transaction_fails_its_group(void **state)
{
    struct write writes[] = {{.value = 1}, {.value = 2, .also = "ROLLBACK"}, {.value = 3}};

    for (size_t i = 0; i < ARRAY_LEN(writes); i++) {
        submit(&writes[i]);
    }
    loop_run(loop);
    for (size_t i = 0; i < ARRAY_LEN(writes); i++) {
        assert_int_not_equal(writes[i].outcome, RC_OK);
    }
    assert_int_equal(db_lane_commits(writer), 0);
    assert_int_equal(db_lane_pending(writer), 0);
}

static void a_full_disk_fails_what_it_hits_and_the_next_group_works(void **state)
{
    struct write writes[] = {
        {.value = 1},
        {.value = 2,
         .also = "PRAGMA max_page_count = 6; CREATE TABLE big AS SELECT zeroblob(100000)"},
        {.value = 3}};
    struct write after = {.value = 4};

    for (size_t i = 0; i < ARRAY_LEN(writes); i++) {
        submit(&writes[i]);
    }
    loop_run(loop);
    assert_int_equal(writes[1].outcome, RC_NO_SPACE);
    assert_true(db_lane_failed_ms(writer) > 0);
    /* SQLite may undo the statement or all of it; told and kept must agree either way. */
    assert_int_equal(count_rows(), (writes[0].outcome == RC_OK) + (writes[2].outcome == RC_OK));
    submit(&after);
    loop_run(loop);
    assert_int_equal(after.outcome, RC_OK);
}

static void a_locked_file_fails_the_group(void **state)
{
    scoped(db_close) struct db *other = NULL;
    struct write write = {.value = 1};
    struct err err;

    assert_int_equal(db_open(path, DB_READ_WRITE, false, &other, &err), RC_OK);
    assert_int_equal(db_exec(other, "BEGIN IMMEDIATE", &err), RC_OK);
    submit(&write);
    loop_run(loop); /* Waits for the busy time-out. */
    assert_int_equal(write.outcome, RC_CONFLICT);
    assert_int_equal(db_exec(other, "ROLLBACK", &err), RC_OK);
}

static struct write chained[10];

static void submit_next(const struct err *err, void *arg)
{
    struct write *write = arg;

    on_written(err, arg);
    if (write + 1 < chained + ARRAY_LEN(chained)) {
        db_lane_submit(writer, do_write, submit_next, write + 1);
    }
}

static void done_may_submit_more(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(chained); i++) {
        chained[i] = (struct write){.value = (int)i + 1};
    }
    db_lane_submit(writer, do_write, submit_next, &chained[0]);
    loop_run(loop);
    assert_int_equal(count_rows(), ARRAY_LEN(chained));
    assert_true(in_order);
}

struct read {
    const char *sql;
    int64_t answer;
    enum rc outcome;
    char text[480];
};

static enum rc do_read(struct db *db, void *arg, struct err *err)
{
    struct read *read = arg;
    sqlite3_stmt *stmt = NULL;
    int code = sqlite3_prepare_v2(db_handle(db), read->sql, -1, &stmt, NULL);

    if (code == SQLITE_OK) {
        code = sqlite3_step(stmt);
    }
    if (code == SQLITE_ROW) {
        read->answer = sqlite3_column_int64(stmt, 0);
    }
    if (code != SQLITE_ROW && code != SQLITE_DONE) {
        db_error(db, code, "query", err);
        sqlite3_finalize(stmt);
        return err->rc;
    }
    sqlite3_finalize(stmt);
    return RC_OK;
}

static void on_read(const struct err *err, void *arg)
{
    struct read *read = arg;

    read->outcome = err == NULL ? RC_OK : err->rc;
    snprintf(read->text, sizeof(read->text), "%s", err == NULL ? "" : err->text);
}

static void reads_see_what_was_committed(void **state)
{
    struct write write = {.value = 41};
    struct read reads[20];

    submit(&write);
    loop_run(loop);
    for (size_t i = 0; i < ARRAY_LEN(reads); i++) {
        reads[i] = (struct read){.sql = "SELECT v + 1 FROM t"};
        db_lane_submit(reader, do_read, on_read, &reads[i]);
    }
    loop_run(loop);
    for (size_t i = 0; i < ARRAY_LEN(reads); i++) {
        assert_int_equal(reads[i].outcome, RC_OK);
        assert_int_equal(reads[i].answer, 42);
    }
}

static void a_read_that_takes_too_long_is_interrupted_and_the_next_works(void **state)
{
    struct read slow = {.sql = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
                               " SELECT count(*) FROM n"};
    struct read quick = {.sql = "SELECT 7"};

    db_lane_submit(reader, do_read, on_read, &slow);
    loop_run(loop);
    assert_int_equal(slow.outcome, RC_TIMEOUT);
    assert_string_equal(slow.text, "the query took longer than 50 ms");
    db_lane_submit(reader, do_read, on_read, &quick);
    loop_run(loop);
    assert_int_equal(quick.outcome, RC_OK);
    assert_int_equal(quick.answer, 7);
}

static void a_reader_refuses_to_write(void **state)
{
    struct read read = {.sql = "DELETE FROM t"};

    db_lane_submit(reader, do_read, on_read, &read);
    loop_run(loop);
    assert_int_equal(read.outcome, RC_DENIED);
}

static void a_reader_of_a_file_that_is_not_there_says_so(void **state)
{
    struct db_lane *lost = db_lane_new_reader(loop, work, "/nonexistent/x.db", NULL, 50);
    struct read read = {.sql = "SELECT 1"};

    db_lane_submit(lost, do_read, on_read, &read);
    loop_run(loop);
    assert_int_equal(read.outcome, RC_NOT_FOUND);
    db_lane_free(lost);
}

static void an_attachment_is_there_for_every_read(void **state)
{
    struct db_lane *both = db_lane_new_reader(loop, work, path, "ATTACH ':memory:' AS other", 50);
    struct read reads[4];

    for (size_t i = 0; i < ARRAY_LEN(reads); i++) {
        reads[i] = (struct read){.sql = "SELECT count(*) FROM pragma_database_list"};
        db_lane_submit(both, do_read, on_read, &reads[i]);
    }
    loop_run(loop);
    for (size_t i = 0; i < ARRAY_LEN(reads); i++) {
        assert_int_equal(reads[i].answer, 2);
    }
    db_lane_free(both);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

/** Rows before and after somebody else has written one. */
struct glance {
    int64_t before, after;
    bool over;
};

static int64_t count_here(struct db *db)
{
    struct err err;
    struct db_stmt *stmt = db_prepare(db, "SELECT count(*) FROM t", &err);
    int64_t count;

    db_step(stmt, &err);
    count = db_int(stmt, 0);
    db_reset(stmt);
    return count;
}

static enum rc read_twice(struct db *db, void *arg, struct err *err)
{
    struct glance *glance = arg;
    scoped(db_close) struct db *other = NULL;

    glance->before = count_here(db);
    if (db_open(path, DB_READ_WRITE, false, &other, err) != RC_OK ||
        db_exec(other, "INSERT INTO t SELECT count(*) + 1000 FROM t", err) != RC_OK) {
        return err->rc;
    }
    glance->after = count_here(db);
    return RC_OK;
}

static void on_glanced(const struct err *err, void *arg)
{
    struct glance *glance = arg;

    glance->over = err == NULL;
}

static void all_statements_of_a_read_see_the_same(void **state)
{
    (void)state;
    for (int64_t rows = 0; rows < 3; rows++) {
        struct glance glance = {.over = false};

        db_lane_submit(reader, read_twice, on_glanced, &glance);
        uv_run(loop_uv(loop), UV_RUN_DEFAULT);
        assert_true(glance.over);
        assert_int_equal(glance.before, rows); /* the next read sees what is new */
        assert_int_equal(glance.after, rows);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_burst_costs_one_commit),
        TEST(a_commit_waits_for_company),
        TEST(all_statements_of_a_read_see_the_same),
        TEST(durable_before_told),
        TEST(one_that_fails_is_undone_alone),
        TEST(a_commit_that_fails_fails_every_write_in_it),
        TEST(a_write_that_ends_the_transaction_fails_its_group),
        TEST(a_full_disk_fails_what_it_hits_and_the_next_group_works),
        TEST(a_locked_file_fails_the_group),
        TEST(done_may_submit_more),
        TEST(reads_see_what_was_committed),
        TEST(a_read_that_takes_too_long_is_interrupted_and_the_next_works),
        TEST(a_reader_refuses_to_write),
        TEST(a_reader_of_a_file_that_is_not_there_says_so),
        TEST(an_attachment_is_there_for_every_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
