/** @file
 * The catalog as the daemon has it: a writer lane, readers with a limit, state.db attached.
 */
#include "tests/unit/daemon/catalog/temp_catalog.h"

#include "daemon/catalog/catalog_query.h"
#include "lib/run/work.h"

struct world {
    struct temp_catalog *temp;
    struct loop *loop;
    struct work *work;
    struct catalog *catalog;
    enum rc outcome;
    char text[480];
    const char *sql;
    struct strbuf answer;
};

static const char state_schema[] =
    "CREATE TABLE objects (bucket, key, etag, size, modified_ms, job);"
    "CREATE TABLE jobs (id, state, kind, tbl);"
    "INSERT INTO objects VALUES ('b', 'k1', 'e', 5, 1557685800000, 7), ('b', 'k2', 'e', 6, 0, 0);"
    "INSERT INTO jobs VALUES (7, 'DONE', 'hdf5', 'vil');";

static int set_up(void **state)
{
    static const unsigned widths[WORK_LANE_COUNT] = {1, 1, 1, 1, 1};
    struct world *world = calloc(1, sizeof(*world));
    struct db *state_db;

    temp_catalog_open((void **)&world->temp);
    scoped(free) char *path = temp_catalog_path(world->temp, "state.db");
    assert_ok(db_open(path, DB_READ_WRITE, false, &state_db, &err));
    assert_ok(db_exec(state_db, state_schema, &err));
    db_close(state_db);
    world->loop = loop_new();
    world->work = work_new(world->loop, widths);
    assert_ok(
        catalog_open(world->loop, world->work, world->temp->dir, path, 300, &world->catalog, &err));
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;

    catalog_close(world->catalog);
    work_free(world->work);
    loop_free(world->loop);
    strbuf_done(&world->answer);
    temp_catalog_close((void **)&world->temp);
    free(world);
    return 0;
}

static void on_done(const struct err *why, void *arg)
{
    struct world *world = arg;

    world->outcome = why != NULL ? why->rc : RC_OK;
    snprintf(world->text, sizeof(world->text), "%s", why != NULL ? why->text : "");
    loop_stop(world->loop);
}

static enum rc run_query(struct db *db, void *arg, struct err *ret_err)
{
    struct world *world = arg;
    struct catalog_query_result result;
    const struct catalog_query query = {.sql = world->sql, .format = CATALOG_CSV};

    strbuf_reset(&world->answer);
    return catalog_query_run(db, &query, &world->answer, &result, ret_err);
}

static void ask(struct world *world, const char *sql)
{
    world->sql = sql;
    catalog_read(world->catalog, run_query, on_done, world);
    loop_run(world->loop);
}

static enum rc add_source(struct db *db, void *arg, struct err *ret_err)
{
    int64_t source;

    (void)arg;
    return catalog_source(db, "b", "new", &source, ret_err);
}

static void what_a_write_has_done_the_next_read_sees(void **state)
{
    struct world *world = *state;

    catalog_write(world->catalog, add_source, on_done, world);
    loop_run(world->loop);
    assert_int_equal(world->outcome, RC_OK);
    ask(world, "SELECT key FROM sources ORDER BY key");
    assert_string_equal(world->answer.data, "key\na/x.csv\nnew\n");
}

static void objects_show_what_became_of_each(void **state)
{
    struct world *world = *state;

    ask(world, "SELECT * FROM objects ORDER BY key");
    assert_string_equal(world->text, "");
    assert_string_equal(world->answer.data, "bucket,key,etag,size,modified,state,kind,table,job\n"
                                            "b,k1,e,5,2019-05-12 18:30:00,DONE,hdf5,vil,7\n"
                                            "b,k2,e,6,1970-01-01 00:00:00,,,,\n");
}

static void a_query_that_never_ends_is_ended(void **state)
{
    struct world *world = *state;

    ask(world, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
               " SELECT count(*) FROM n");
    assert_int_equal(world->outcome, RC_TIMEOUT);
    assert_string_equal(world->text, "the query took longer than 300 ms");
    ask(world, "SELECT 1");
    assert_int_equal(world->outcome, RC_OK);
}

static void neither_file_can_be_written_by_a_query(void **state)
{
    struct world *world = *state;

    ask(world, "DELETE FROM state.jobs");
    assert_int_equal(world->outcome, RC_INVALID);
    ask(world, "UPDATE sources SET key = 'x'");
    assert_int_equal(world->outcome, RC_INVALID);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_a_write_has_done_the_next_read_sees),
        TEST(objects_show_what_became_of_each),
        TEST(a_query_that_never_ends_is_ended),
        TEST(neither_file_can_be_written_by_a_query),
    };
    return cmocka_run_group_tests_name("catalog", tests, NULL, NULL);
}
